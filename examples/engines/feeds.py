"""What the programs of this folder read: a JSON object a line, with shape and data of each input of the graph."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

OUTPUT = sys.argv[2] if len(sys.argv) > 2 else "sentence_embedding"
"""What the graph is asked for. A classifier has ``probabilities`` too, a regressor ``predictions``."""


def feeds() -> Iterator[dict[str, np.ndarray]]:
    for line in sys.stdin:
        yield {k: np.array(v["data"], np.int64).reshape(v["shape"]) for k, v in json.loads(line).items()}


def answer(embed: Callable[[dict[str, np.ndarray]], np.ndarray]) -> None:
    """Write the vectors of each batch, a JSON list of lists."""
    for batch in feeds():
        begin = time.perf_counter()
        vectors = np.asarray(embed(batch))
        if "M2V_TIMES" in os.environ:  # for benchmarks/engines.py
            print("milliseconds", (time.perf_counter() - begin) * 1e3, file=sys.stderr)
        print(json.dumps(vectors.tolist()), flush=True)


def convert(command: Sequence[str | Path], folder: str | Path | None = None) -> None:
    """Run an engine's converter; what it prints is no vectors. End with its last line if it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, file=sys.stderr)
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        sys.exit(f"its converter ends with {done.returncode}: {(lines or ['no word'])[-1]}")


def with_its_table(graph: str, folder: str) -> Path:
    """Copy a graph into a file that has its table inside, for what reads no other file, or writes into its input."""
    import onnx

    copy = Path(folder) / Path(graph).name
    onnx.save(onnx.load(graph), copy)
    return copy
