"""How many operations text.onnx runs for a batch, and how its time compares with other files' of the same model.

    python -m benchmarks.text_graph.operations TEXT.onnx [OTHER.onnx ...] [--batches 8]

Texts are those of ../shared. Operations are counted by onnxruntime's profiler. Time is process time of one thread, each
batch by every file in turn: the sum over batches of the least of ROUNDS, and the ratio of that to the first
file's. Ids alone are asked for, so that pooling does not count.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from tabulate import tabulate

from benchmarks.shared import lines, need_shared
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_graph import pack

CORPORA = {"English": "sentences_en.txt", "multilingual": "multilingual.txt"}
SIZES = (1, 16, 256)
ROUNDS = 15
OUTPUTS = ["input_ids", "token_offsets"]
OVERHEAD = {"If", "Loop", "Scan"}
"""Their time and number are those of the operations inside."""


def opened(file: Path, profile: Path | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.enable_mem_pattern = 1, False
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def operations(file: Path, texts: list[str]) -> int:
    """That one run of these texts takes."""
    with tempfile.TemporaryDirectory() as folder:
        session = opened(file, Path(folder) / "profile")
        session.run(OUTPUTS, feeds(texts))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = (event for event in events if event["name"].endswith("_kernel_time"))
    return sum(event["args"]["op_name"] not in OVERHEAD for event in kernels)


def feeds(texts: list[str]) -> dict[str, np.ndarray]:
    return dict(zip(("utf8", "offsets"), pack(texts), strict=True))


def seconds(sessions: list[ort.InferenceSession], batches: list[dict[str, np.ndarray]]) -> list[float]:
    """:return: of each session the sum of its least times."""
    least = np.full((len(sessions), len(batches)), np.inf)
    for i in range(ROUNDS):
        for j, batch in enumerate(batches):
            for k in range(len(sessions)) if i % 2 else reversed(range(len(sessions))):
                begin = time.process_time()
                sessions[k].run(OUTPUTS, batch)
                least[k, j] = min(least[k, j], time.process_time() - begin)
    return [float(sum_) for sum_ in least.sum(axis=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="TEXT.onnx")
    parser.add_argument("--batches", type=int, default=8, help="of 16 texts; of one text as many times 16")
    options = parser.parse_args()
    need_shared()
    sessions = [opened(file) for file in options.files]
    rows = []
    for name, corpus in CORPORA.items():
        texts = np.random.default_rng(7).permutation(lines(corpus)).tolist()
        for size in SIZES:
            count = options.batches * 16 if size == 1 else options.batches
            batches = [texts[i * size : (i + 1) * size] for i in range(count)]
            counts = [statistics.median(operations(file, batch) for batch in batches[:16]) for file in options.files]
            times = seconds(sessions, [feeds(batch) for batch in batches])
            ratios = [f"{each / times[0]:.3f}" for each in times]
            rows.append([name, size, *map(int, counts), f"{times[0] / len(batches) * 1e6:,.0f}", *ratios[1:]])
    files = range(1, len(sessions) + 1)
    heads = ["texts", "batch", *(f"operations {i}" for i in files), "us 1", *(f"time {i}" for i in files[1:])]
    print(f"onnxruntime {ort.__version__}")
    print(tabulate(rows, heads, disable_numparse=True, stralign="right"))


if __name__ == "__main__":
    main()
