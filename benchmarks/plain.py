"""plain.onnx beside model.onnx in onnxruntime: the time of a run, one thread, in turn.

python -m benchmarks.plain [BUNDLE]
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
from tabulate import tabulate

from m2v_onnx.models.format import PADDED, PLAIN
from m2v_onnx.ort import onnxruntime

SHAPES = ((1, 8), (256, 8), (256, 29), (64, 281))
ROUNDS = 15


def main() -> None:
    bundle = Path(sys.argv[1] if len(sys.argv) > 1 else "models/potion-base-8M-onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {path: onnxruntime.InferenceSession(str(bundle / path), options) for path in (PADDED, PLAIN)}
    rng = np.random.default_rng(0)
    rows = []
    for texts, tokens in SHAPES:
        feed = {"input_ids": rng.integers(2, 20_000, (texts, tokens)), "attention_mask": np.ones((texts, tokens), int)}
        seconds: dict[str, list[float]] = {path: [] for path in sessions}
        for _ in range(ROUNDS):
            for path, session in sessions.items():
                begin = time.perf_counter()
                session.run(["sentence_embedding"], feed)
                seconds[path].append(time.perf_counter() - begin)
        model, plain = (statistics.median(of) * 1e3 for of in seconds.values())
        rows.append([f"{texts} x {tokens}", f"{model:.3f}", f"{plain:.3f}", f"{plain / model:.2f}"])
    print(f"onnxruntime {onnxruntime.__version__}, {bundle.name}")
    print(tabulate(rows, ["texts x tokens", "model.onnx, ms", "plain.onnx, ms", "ratio"], "github"))


if __name__ == "__main__":
    main()
