"""``python -m benchmarks.serve``: requests, texts, waits, memory and start, side by side; prints a table.

The server runs on one core and the client on the other, each alone there.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from benchmarks.serve.servers import BUNDLE, ROOT, bodies, other_core, private, running, workers
from m2v_onnx import OnnxStaticModel

KINDS = {
    # Texts a request, format, connections.
    "1 text, JSON, 64 connections": (1, "float", 64),
    "32 texts, JSON, 8 connections": (32, "float", 8),
    "512 texts, base64, 4 connections": (512, "base64", 4),
}


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
            with running(name) as (_, _, start):
                starts.append(start)
        found["start to ready, s", name] = statistics.median(starts)
        with running(name) as (port, _, _):
            for kind, (texts, encoding, connections) in KINDS.items():
                runs = [_load(port, options.seconds, texts, encoding, connections) for _ in range(options.rounds)]
                found[f"{kind}: texts/s", name] = texts * statistics.median(run["rate"] for run in runs)
    half = found[f"{next(iter(KINDS))}: texts/s", "FastAPI"] / 2
    for name in names:
        with running(name) as (port, _, _):
            runs = [_load(port, options.seconds, 1, "float", 64, half) for _ in range(options.rounds)]
            found[f"p99 at {half:.0f} requests/s, ms", name] = 1000 * statistics.median(run["p99"] for run in runs)
    for name in names:
        with running(name, "--workers", "2") as (port, process, _):
            _load(port, 1, 1, "float", 64)
            _load(port, 1, 512, "base64", 8)
            found["private memory of a second worker, MB", name] = private(workers(process)[-1])
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


if __name__ == "__main__":
    main()
