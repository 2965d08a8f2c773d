"""plain.onnx in OpenVINO and rten beside onnxruntime: milliseconds for 256 sentences in one batch.

    python examples/engines/conformance.py openvino rten    # installs the engines under .engines/
    python -m benchmarks.engines

The engines are asked one after the other, on one core each, as the programs of examples/engines run them. Reading the
batch and writing the vectors are not timed. What is printed is the least of all runs, and the least times bag.onnx's,
the graph that the package itself runs in onnxruntime.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.speed.texts import sets
from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import BAG, EMBEDDING, PLAIN
from m2v_onnx.ort import onnxruntime

ROOT = Path(__file__).parents[1]
ENGINES = ROOT / ".engines"
PROGRAMS = {
    "OpenVINO": [ENGINES / "openvino" / "bin" / "python", ROOT / "examples" / "engines" / "run_openvino.py"],
    "rten": [ENGINES / "rten" / "target" / "release" / "m2v-rten"],
}
SENTENCES, ROUNDS, RUNS = 256, 3, 20
"""A program is started ROUNDS times and runs the batch RUNS times."""


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = []
    for precision in ("float32", "int8"):
        bundle = ENGINES / f"potion-base-2M-{precision}"
        ids = OnnxStaticModel.from_pretrained(bundle, tokenizer="tokenizers").tokenize(sets()["sentences"][:SENTENCES])
        width = max(map(len, ids))
        mask = (np.arange(width) < np.array([[len(text)] for text in ids])).astype(np.int64)
        grid = np.zeros_like(mask)
        grid[mask > 0] = np.concatenate(ids)
        padded = {"input_ids": grid, "attention_mask": mask}
        starts = np.cumsum([0, *map(len, ids)])[:-1]
        flat = {"input_ids": np.concatenate(ids).astype(np.int64), "offsets": starts}
        line = json.dumps({name: {"shape": of.shape, "data": of.ravel().tolist()} for name, of in padded.items()})
        ways: dict[str, Callable[[], float]] = {
            "onnxruntime, bag.onnx": lambda b=bundle, feeds=flat: in_onnxruntime(b / BAG, feeds),  # type: ignore[misc]
            "onnxruntime": lambda b=bundle, feeds=padded: in_onnxruntime(b / PLAIN, feeds),  # type: ignore[misc]
        }
        for name, command in PROGRAMS.items():
            ways[name] = lambda c=command, b=bundle, sent=line: in_program([*c, b / PLAIN], sent)  # type: ignore[misc]
        least = {name: min(way() for _ in range(ROUNDS)) for name, way in ways.items()}
        base = least["onnxruntime, bag.onnx"]
        rows += [[name, precision, f"{took:.2f}", f"{took / base:.1f}"] for name, took in least.items()]
    print(f"{SENTENCES} sentences of up to {width} tokens, {len(flat['input_ids'])} in all")
    print(tabulate(rows, ["engine", "table", "ms", "times"], tablefmt="github"))


def in_onnxruntime(graph: Path, feeds: dict[str, np.ndarray]) -> float:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(graph), options, ["CPUExecutionProvider"])
    found = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        session.run([EMBEDDING], feeds)
        found.append(time.perf_counter() - begin)
    return min(found) * 1e3


def in_program(command: list[Path], line: str) -> float:
    """:return: milliseconds of the program's fastest run, as it says on standard error."""
    done = subprocess.run(
        command,
        input=f"{line}\n" * RUNS,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "M2V_TIMES": "1", "RTEN_NUM_THREADS": "1"},
    )
    return min(float(said.split()[1]) for said in done.stderr.splitlines() if said.startswith("milliseconds "))


if __name__ == "__main__":
    main()
