"""From the start of a process to its first vector, with the models inside the package, beside model2vec.

    python -m benchmarks.start [--rounds 15]

Each round starts every side once, in turn. model2vec reads minishlab/potion-base-8M from ../shared, as MinishLab
published it; ours is the bundle that the wheel carries. Times are of whole processes, Python's own start included.
"""

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.shared import SHARED, need_shared

SOURCE = SHARED / "models" / "potion-base-8M"

SIDES = {
    "model2vec, potion-base-8M": f"from model2vec import StaticModel; m = StaticModel.from_pretrained({str(SOURCE)!r});"
    " m.encode(['hello'])",
    "m2v-onnx, potion-base-8M": "from m2v_onnx import Model2VecEmbeddingFunction as M; M().encode_queries(['hello'])",
    "m2v-onnx, potion-base-2M": "from m2v_onnx import Model2VecEmbeddingFunction as M;"
    " M('minishlab/potion-base-2M').encode_queries(['hello'])",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    need_shared()
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds + 1):
        for side, code in SIDES.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[side].append(time.perf_counter() - begin)
    medians = {side: statistics.median(times[1:]) for side, times in seconds.items()}  # the first fills the caches
    for side, median in medians.items():
        share = median / medians["model2vec, potion-base-8M"]
        print(
            f"{side}: {median * 1000:.0f} ms, {share:.0%} of model2vec's, {min(seconds[side]) * 1000:.0f} ms at least"
        )


if __name__ == "__main__":
    main()
