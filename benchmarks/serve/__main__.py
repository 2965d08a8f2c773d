"""``python -m benchmarks.serve``: requests, texts, waits, memory and start, side by side; prints tables.

The server runs on one core and the client on the other, each alone there.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import thread_time
from typing import Any

from tabulate import tabulate

from benchmarks.serve.servers import (
    BUNDLE,
    ROOT,
    RUST,
    bodies,
    cpu_seconds,
    other_core,
    private,
    running,
    wait_for_all,
    workers,
)
from m2v_onnx import OnnxStaticModel

OURS, PEER, RUSTS = "m2v-onnx", "FastAPI", "Rust"

# Texts a request, format, connections, and how many times the peer's texts a second are asked for.
KINDS = {
    "1 text, JSON, 64 connections": (1, "float", 64, 4),
    "32 texts, JSON, 8 connections": (32, "float", 8, 5),
    "512 texts, base64, 4 connections": (512, "base64", 4, 8),
}


def _times(asked: int, ours: float, theirs: float) -> bool:
    return ours >= asked * theirs


STARTS = 5
"""Of each server; their median counts."""

PACKAGES = (
    "granian", "uvloop", "msgspec", "orjson", "onnxruntime", "nanotoken", "numpy", "fastapi", "uvicorn", "model2vec",
)  # fmt: skip


def _load(port: int, seconds: float, texts: int, encoding: str, connections: int, rate: float | None = None) -> Any:
    options = {
        "port": port,
        "bodies": bodies(texts, encoding),
        "connections": connections,
        "seconds": seconds,
        "rate": rate,
    }
    command = [sys.executable, "-m", "benchmarks.serve.load"]
    done = subprocess.run(command, input=json.dumps(options), capture_output=True, text=True, check=True, cwd=ROOT,
                          preexec_fn=other_core)  # fmt: skip
    found = json.loads(done.stdout)
    assert not found["other"], f"{found['other']} answers were not 200"
    return found


class Measured:
    """Numbers by row and server, and what is asked of them."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], float] = {}
        self._asked: dict[str, tuple[str, Callable[[float, float], bool]]] = {}

    def add(self, what: str, server: str, number: float) -> None:
        self.numbers[what, server] = number

    def asked(self, what: str, words: str, holds: Callable[[float, float], bool]) -> None:
        """:param holds: whether ours and the peer's number are what was asked for."""
        self._asked[what] = words, holds

    def table(self) -> str:
        rows = []
        for what in dict.fromkeys(what for what, _ in self.numbers):
            ours, theirs = self.numbers[what, OURS], self.numbers[what, PEER]
            rust = self.numbers.get((what, RUSTS))
            words, holds = self._asked.get(what, ("", None))
            verdict = "" if holds is None else "reached" if holds(ours, theirs) else "MISSED"
            rows.append([what, ours, theirs, ours / theirs, words, verdict, rust, rust and ours / rust])
        head = ["", OURS, PEER, "ratio", "asked", "", RUSTS, "ratio"]
        return str(tabulate(rows, head, floatfmt=(None, ",.2f", ",.2f", ".2f", None, None, ",.2f", ".2f")))


def _parts(served: Callable[[str], float]) -> str:
    """Where a request's microseconds go. Parts are measured in one thread of their own; what they leave of a served
    request is HTTP: granian, asyncio and the kernel.

    :param served: the server's CPU microseconds for a kind of request.
    """
    model = OnnxStaticModel.from_pretrained(BUNDLE, threads=1)
    rows = []
    for kind, (texts, encoding, *_) in KINDS.items():
        *parts, library = _parts_of(model, texts, encoding)
        whole = served(kind)
        rows.append([kind, *parts, whole - sum(parts), whole, library, library / whole])
    head = ["CPU us/request", "parsing", "tokens", "pooling", "formatting", "HTTP", "all", "library", "share"]
    return str(tabulate(rows, head, floatfmt=(None, *[",.1f"] * 7, ".2f")))


def _parts_of(model: OnnxStaticModel, texts: int, encoding: str) -> tuple[float, ...]:
    """:return: microseconds of parsing, tokens, pooling, formatting, and of the library's ``encode``."""
    from m2v_onnx.serve.apis import openai

    body = bodies(texts, encoding, 1)[0].encode()
    given = openai._EMBEDDINGS.decode(body).input
    listed = [given] if isinstance(given, str) else given
    vectors, _ = model.encode_counted(listed, normalize=True)
    write = openai._WRITERS["base64" if encoding == "base64" else "float", "float"]
    library: Any = model._encoder
    tokens = library._tokens

    def tokenize() -> object:
        if texts == 1:
            return tokens.ids_of_one(listed[0], model.max_length)
        return tokens.ids(listed, model.max_length)

    tokenized = _microseconds(tokenize, texts)
    return (
        _microseconds(lambda: openai._EMBEDDINGS.decode(body), texts),
        tokenized,
        _microseconds(lambda: model.encode_counted(listed, normalize=True), texts) - tokenized,
        _microseconds(lambda: write(vectors, 0), texts),
        _microseconds(lambda: model.encode(listed), texts),
    )


def _microseconds(call: Callable[[], object], texts: int) -> float:
    """The best of some rounds."""
    times = max(5, 2000 // texts)
    rounds = []
    for _ in range(9):
        began = thread_time()
        for _ in range(times):
            call()
        rounds.append((thread_time() - began) / times * 1e6)
    return min(rounds)


def _about() -> str:
    """The machine and the versions."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine = f"{os.cpu_count()} cores, {models[0].partition(':')[2].strip() if models else platform.machine()}"
    load = os.getloadavg()[0]
    busy = " (BUSY: others were at work, trust the ratios only)" if load > 0.5 else ""
    first = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine}; load average {load:.1f}{busy}"
    listed = [f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in PACKAGES)]
    rust = f"the Rust peer: {RUST}" if RUST.exists() else "the Rust peer is not built: make serve-peers"
    return f"{first}\n{', '.join(listed)}\n{rust}\n"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: %(default)s)")
    options = parser.parse_args(arguments)
    print(_about(), flush=True)
    names = (OURS, PEER, RUSTS) if RUST.exists() else (OURS, PEER)
    found = Measured()
    with ExitStack() as stack:
        # All are there at a time, and take turns: whatever else the machine does, it does to each of them.
        servers = {name: stack.enter_context(running(name))[:2] for name in names}
        for kind, (texts, encoding, connections, asked) in KINDS.items():
            what = f"{kind}: texts/s"
            rates: dict[str, list[float]] = {name: [] for name in names}
            cpu: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(options.rounds):
                for name, (port, process) in servers.items():
                    before = cpu_seconds(process)
                    run = _load(port, options.seconds, texts, encoding, connections)
                    cpu[name].append(1e6 * (cpu_seconds(process) - before) / run["all"])
                    rates[name].append(texts * run["rate"])
            for name in names:
                found.add(what, name, statistics.median(rates[name]))
                found.add(f"{kind}: CPU us/request", name, statistics.median(cpu[name]))
            found.asked(what, f"{asked} times", partial(_times, asked))
        half = found.numbers[f"{next(iter(KINDS))}: texts/s", PEER] / 2
        what = f"p99 at {half:.0f} requests/s, half of the peer's top load: ms"
        waits: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(options.rounds):
            for name, (port, _) in servers.items():
                waits[name].append(1000 * _load(port, options.seconds, 1, "float", 64, half)["p99"])
        for name in names:
            found.add(what, name, statistics.median(waits[name]))
        found.asked(what, "a quarter", lambda ours, theirs: ours <= theirs / 4)
    what = "private memory of a second worker: MB"
    for name in (OURS, PEER):
        with running(name, "--workers", "2") as (port, process, _):
            wait_for_all(port)
            _load(port, 1, 1, "float", 64)
            _load(port, 1, 512, "base64", 8)
            found.add(what, name, private(workers(process)[-1]))
    found.asked(what, "under 45", lambda ours, _: ours < 45)
    what = "start to ready: s"
    starts: dict[str, list[float]] = {name: [] for name in names}
    used: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(STARTS):
        for name in names:
            with running(name) as (_, process, start):
                used[name].append(cpu_seconds(process))
                starts[name].append(start)
    for name in names:
        found.add(what, name, statistics.median(starts[name]))
        found.add("the same: CPU s", name, statistics.median(used[name]))
    found.asked(what, "under 0.5, a third", lambda ours, theirs: ours < 0.5 and ours <= theirs / 3)
    print(found.table())
    print()
    print(_parts(lambda kind: found.numbers[f"{kind}: CPU us/request", OURS]))


if __name__ == "__main__":
    main()
