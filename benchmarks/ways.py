"""What each way to a vector costs, by batch: the figures in ``m2v_onnx/vectors/costs.py``.

    python -m benchmarks.ways BUNDLE [--rounds 20]

It times text.onnx and `tokenizers` on the same batches of English texts of ../shared, each side in turn: the CPU time
of one thread, so that other work on the machine counts less; of each batch the least of all rounds. The costs are
fitted to these times (least squares of their relative errors, nothing below zero). At the end: how often the way that
the fitted costs choose is the slower one, and by how much.
"""

import argparse
import itertools
import os
import time
from importlib.metadata import version
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import numpy.typing as npt

from benchmarks.shared import lines, need_shared
from m2v_onnx import OnnxStaticModel
from m2v_onnx.vectors.costs import Cost, Ways

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
JOINED = (1, 5)
"""Sentences that are one text."""

SAMPLES = 4
"""Batches of each size."""


def batches() -> list[list[str]]:
    texts = itertools.cycle(line for line in lines("sentences_en.txt") if line)
    return [
        [" ".join(itertools.islice(texts, joined)) for _ in range(count)]
        for joined in JOINED
        for count in COUNTS
        for _ in range(SAMPLES)
    ]


def times(bundle: Path, some: list[list[str]], rounds: int) -> npt.NDArray[np.float64]:
    """:return: float64 [2, batches], microseconds of the graph and of the library."""
    models = [OnnxStaticModel.from_pretrained(bundle, tokenizer=way, threads=1) for way in ("graph", "tokenizers")]
    least = np.full((len(models), len(some)), np.inf)
    for _ in range(rounds):
        for number, batch in enumerate(some):
            for side, model in enumerate(models):
                begin = time.process_time()
                model.encode(batch)
                least[side, number] = min(least[side, number], time.process_time() - begin)
    return least * 1e6


def fitted(sizes: npt.NDArray[np.float64], took: npt.NDArray[np.float64]) -> Cost:
    """:param sizes: float64 [batches, 3]: 1, texts, characters. :param took: float64 [batches], microseconds."""
    best, error = np.zeros(3), np.inf
    for used in itertools.product((False, True), repeat=3):  # few enough to try which are zero
        if any(used):
            found = np.zeros(3)
            found[list(used)] = np.linalg.lstsq(sizes[:, used] / took[:, None], np.ones(len(took)))[0]
            squares = float(np.square(sizes @ found / took - 1).sum())
            if found.min() >= 0 and squares < error:
                best, error = found, squares
    return Cost(*(round(float(figure), 2) for figure in best))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    need_shared()
    print(", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "tokenizers", "numpy")))
    some = batches()
    took = times(options.bundle, some, options.rounds)
    sizes = np.array([(1, len(batch), sum(map(len, batch))) for batch in some], np.float64)
    ways = Ways(*(fitted(sizes, of) for of in took))
    print(ways)
    for characters in (20, 80, 400):
        print(f"tokenizers is the faster one for up to {ways.most_texts(characters)} texts of {characters} characters")
    chosen = np.array([ways.library_is_faster(len(batch), sum(map(len, batch))) for batch in some], int)
    slower = took[chosen, np.arange(len(some))] / took.min(0)
    print(f"{np.mean(slower > 1):.0%} of the batches take the slower way, {slower.max():.2f} times as long at most")


if __name__ == "__main__":
    main()
