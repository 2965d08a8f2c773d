"""``python -m benchmarks.serve``: requests, texts, waits, memory and start, side by side; prints a table.

The server runs on one core and the client on the other, each alone there.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tabulate import tabulate

from m2v_onnx import OnnxStaticModel

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "potion-base-2M"
BUNDLE = ROOT / "models" / "potion-base-2M-onnx"
SENTENCE = "It is dangerous to go alone number {i}, take this with you on the way to the castle."
KINDS = {
    # Texts a request, format, connections.
    "1 text, JSON, 64 connections": (1, "float", 64),
    "32 texts, JSON, 8 connections": (32, "float", 8),
    "512 texts, base64, 4 connections": (512, "base64", 4),
}


def bodies(texts: int, encoding: str, requests: int = 64) -> list[str]:
    made = [SENTENCE.format(i=i) for i in range(texts * requests)]
    return [
        json.dumps(
            {"input": made[i] if texts == 1 else made[i : i + texts], "model": BUNDLE.name, "encoding_format": encoding}
        )
        for i in range(0, len(made), texts)
    ]


def _commands(port: int) -> dict[str, list[str]]:
    python = sys.executable
    return {
        "m2v-onnx": [python, "-m", "m2v_onnx", "serve", str(BUNDLE), "--port", str(port), "--threads", "1"],
        "FastAPI": [python, "-m", "uvicorn", "benchmarks.serve.peer:app", "--port", str(port), "--no-access-log"],
    }


@contextlib.contextmanager
def _running(name: str, *more: str) -> Iterator[tuple[int, int, float]]:
    """:return: the port, the process id, and seconds until it was ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*_commands(port)[name], *more]
    began = time.perf_counter()
    environment = os.environ | {"PEER_MODEL": str(MODEL)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, preexec_fn=_first_core)
    try:
        while not _ready(port):
            time.sleep(0.005)
        yield port, process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _first_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _other_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


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
                          preexec_fn=_other_core)  # fmt: skip
    found = json.loads(done.stdout)
    assert not found["other"], f"{found['other']} answers were not 200"
    return found


def _private(process: int) -> float:
    """Megabytes that a process shares with no other."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1024


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _library(texts: int) -> float:
    """Texts a second of the library alone, in one thread."""
    model = OnnxStaticModel.from_pretrained(BUNDLE, threads=1)
    lists = [value if isinstance(value := json.loads(body)["input"], list) else [value] for body in bodies(texts, "")]
    rates = []
    for _ in range(5):
        began = time.perf_counter()
        for each in lists:
            model.encode(each)
        rates.append(texts * len(lists) / (time.perf_counter() - began))
    return max(rates)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: %(default)s)")
    options = parser.parse_args(arguments)
    found: dict[tuple[str, str], float] = {}
    names = ("m2v-onnx", "FastAPI")
    for name in names:
        starts = []
        for _ in range(3):
            with _running(name) as (_, _, start):
                starts.append(start)
        found["start to ready, s", name] = statistics.median(starts)
        with _running(name) as (port, _, _):
            for kind, (texts, encoding, connections) in KINDS.items():
                runs = [_load(port, options.seconds, texts, encoding, connections) for _ in range(options.rounds)]
                found[f"{kind}: texts/s", name] = texts * statistics.median(run["rate"] for run in runs)
    half = found[f"{next(iter(KINDS))}: texts/s", "FastAPI"] / 2
    for name in names:
        with _running(name) as (port, _, _):
            runs = [_load(port, options.seconds, 1, "float", 64, half) for _ in range(options.rounds)]
            found[f"p99 at {half:.0f} requests/s, ms", name] = 1000 * statistics.median(run["p99"] for run in runs)
    for name in names:
        with _running(name, "--workers", "2") as (port, process, _):
            _load(port, 1, 1, "float", 64)
            _load(port, 1, 512, "base64", 8)
            workers = [each for each in _children(process) if "resource_tracker" not in _command_of(each)]
            found["private memory of a second worker, MB", name] = _private(workers[-1])
    rows = []
    for what in dict.fromkeys(what for what, _ in found):
        ours, theirs = (found[what, name] for name in names)
        rows.append([what, ours, theirs, ours / theirs])
    print(tabulate(rows, ["", *names, "m2v-onnx / FastAPI"], floatfmt=(None, ",.2f", ",.2f", ".2f")))
    print()
    rates = [(kind, _library(texts), found[f"{kind}: texts/s", "m2v-onnx"]) for kind, (texts, _, _) in KINDS.items()]
    shares = [[kind, library, served, served / library] for kind, library, served in rates]
    print(
        tabulate(shares, ["texts/s", "library", "server", "server / library"], floatfmt=(None, ",.0f", ",.0f", ".2f"))
    )


def _command_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")


if __name__ == "__main__":
    main()
