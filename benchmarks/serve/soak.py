"""``python -m benchmarks.serve.soak``: an hour of load, every answer checked; prints memory as it goes.

The load is a mix of what clients send: one text and many, numbers in JSON and base64, and requests that are wrong.
Each second a client leaves, whatever it waits for, and another one comes. Each answer's status, dimensions and values
are held against the library's own. The server runs on one core and the client on the other.
"""

import argparse
import asyncio
import base64
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.serve.load import Connection, post
from benchmarks.serve.servers import BUNDLE, SENTENCE, other_core, private, running, workers
from m2v_onnx import OnnxStaticModel

Vectors = npt.NDArray[np.float32]
Read = Callable[[bytes], Vectors]

TOLERANCE = 1e-6
"""Between an answer's numbers and the library's: model2vec's own."""

MEASURE_SECONDS = 20
"""For the top load, of which a share is then held."""


def _floats(body: bytes) -> Vectors:
    return np.asarray([each["embedding"] for each in orjson.loads(body)["data"]], np.float32)


def _base64(body: bytes) -> Vectors:
    listed = orjson.loads(body)["data"]
    return np.stack([np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in listed])


def _rows(body: bytes) -> Vectors:
    return np.asarray(orjson.loads(body), np.float32)


def requests() -> dict[bytes, tuple[int, Vectors | None, Read | None]]:
    """Each request, and its answer's status, vectors, and how to read them."""
    model = OnnxStaticModel.from_pretrained(BUNDLE, threads=1)
    made: dict[bytes, tuple[int, Vectors | None, Read | None]] = {}
    texts = [SENTENCE.format(i=i) if i % 7 else f"naïve café 北京 😀 {i} " * (i % 5 + 1) for i in range(4000)]

    def add(path: str, some: Sequence[str], read: Read, **options: Any) -> None:
        name = "input" if path.startswith("/v1") else "inputs"
        body = {name: some[0] if len(some) == 1 else [*some], **options}
        made[post(path, orjson.dumps(body))] = (200, model.encode(some, normalize=True), read)

    for i in range(200):  # of 20 requests, 14 have one text, 4 some, 1 many, and 1 is wrong
        if i % 20 == 19:
            wrong = [b"{", b'{"input": "\xff"}', b'{"input": [1, 2]}', b'{"input": []}'][i // 20 % 4]
            made[post("/v1/embeddings", wrong + b" " * (i // 20))] = (400, None, None)
        elif i % 20 == 18:
            add("/v1/embeddings", texts[i * 7 : i * 7 + 512], _base64, encoding_format="base64")
        elif i % 5 == 4:
            add("/v1/embeddings", texts[i : i + 32], _floats)
        elif i % 2:
            add("/embed", texts[i : i + 1], _rows)
        else:
            add("/v1/embeddings", texts[i : i + 1], _floats)
    return made


class Soak:
    """The connections, and what came back."""

    def __init__(self, port: int) -> None:
        self._port, self._known = port, requests()
        self._requests: Iterator[bytes] = cycle(self._known)
        self.errors: Counter[str] = Counter()
        self.answers = 0
        self._open: list[Connection] = []
        self._waits: list[float] = []

    def check(self, request: bytes, head: bytes, body: bytes) -> None:
        self.answers += 1
        status, vectors, read = self._known[request]
        found = int(head.split(b" ", 2)[1])
        if found != status:
            self.errors[f"status {found} instead of {status}"] += 1
        elif read is not None and vectors is not None:
            got = read(body)
            if got.shape != vectors.shape:
                self.errors[f"shape {got.shape} instead of {vectors.shape}"] += 1
            elif not np.allclose(got, vectors, rtol=0, atol=TOLERANCE):
                self.errors["other numbers"] += 1

    async def connect(self, number: int, pace: float | None) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(number):
            _, made = await loop.create_connection(
                lambda: _Counted(self._requests, pace, self), "127.0.0.1", self._port
            )
            self._open.append(made)
            if pace is not None and number > 1:  # evenly in time, not all at once
                await asyncio.sleep(pace / number)

    async def replace(self, pace: float) -> None:
        """Let the oldest client go, in the midst of a request or not, and another one come."""
        self._leave(self._open.pop(0))
        await self.connect(1, pace)

    def close(self) -> list[float]:
        """:return: the waits, sorted."""
        while self._open:
            self._leave(self._open.pop())
        waits, self._waits = sorted(self._waits), []
        return waits

    def _leave(self, connection: Connection) -> None:
        connection.close()
        self._waits += connection.seconds


class _Counted(Connection):
    def __init__(self, requests: Iterator[bytes], pace: float | None, soak: Soak) -> None:
        super().__init__(requests, pace, soak.check)
        self._soak = soak

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed:
            self._soak.errors["connection lost"] += 1


def _memory(process: int) -> list[str]:
    """Of each worker: resident and private megabytes, open files."""
    found = []
    for each in workers(process):
        lines = Path(f"/proc/{each}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
        files = len([*Path(f"/proc/{each}/fd").iterdir()])
        found.append(f"worker {each}: {resident:.1f} MB, {private(each):.1f} of them private, {files} files")
    return found


async def _soak(port: int, process: int, options: argparse.Namespace) -> Counter[str]:
    soak = Soak(port)
    rate = options.rate
    if rate is None:
        await soak.connect(options.connections, None)
        before, began = soak.answers, time.perf_counter()
        await asyncio.sleep(MEASURE_SECONDS)
        top = (soak.answers - before) / (time.perf_counter() - began)
        soak.close()
        rate = options.load * top
        print(f"top load: {top:,.0f} requests/s", flush=True)
    print(f"held: {rate:,.0f} requests/s on {options.connections} connections", flush=True)
    soak.answers = 0
    began = time.perf_counter()
    end, due = began + 60 * options.minutes, began

    def report() -> None:
        minutes = (time.perf_counter() - began) / 60
        known = dict(soak.errors) or "no errors"
        print(f"{datetime.now():%H:%M:%S} {minutes:.1f} min, {soak.answers:,} answers, {known}", flush=True)
        print(*_memory(process), sep="\n", flush=True)

    pace = options.connections / rate
    await soak.connect(options.connections, pace)
    while (now := time.perf_counter()) < end:
        if now >= due:
            report()
            due += 60 * options.every
        await asyncio.sleep(min(1, end - now))
        await soak.replace(pace)
    waits = soak.close()
    report()
    p50, p99 = (1000 * waits[len(waits) * share // 100] for share in (50, 99))
    print(f"{soak.answers / (time.perf_counter() - began):,.0f} requests/s; p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return soak.errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve.soak")
    parser.add_argument("--minutes", type=float, default=60, help="(default: %(default)s)")
    parser.add_argument("--load", type=float, default=0.8, help="share of the top load (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="requests a second, instead of a share of the top load")
    parser.add_argument("--connections", type=int, default=32, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of the server (default: %(default)s)")
    parser.add_argument("--every", type=float, default=5, help="minutes between two lines (default: %(default)s)")
    options = parser.parse_args(arguments)
    with running("m2v-onnx", "--workers", str(options.workers)) as (port, process, _):
        other_core()
        errors = asyncio.run(_soak(port, process, options))
    sys.exit(f"failed: {dict(errors)}" if errors else None)


if __name__ == "__main__":
    main()
