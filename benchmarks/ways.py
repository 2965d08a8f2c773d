"""What each way to a vector costs, by batch: the figures in ``m2v_onnx/vectors/costs.py``.

    python -m benchmarks.ways BUNDLE [--rounds 20]

It times text.onnx and `tokenizers` on the same batches of ../shared, English and multilingual. All is in turn, a batch
on both ways side by side, so that both have the same neighbours on a machine that others use too; which one is first
changes from round to round. A time is the CPU time of the process, and of each batch the least of all rounds counts.

Half of the batches make the costs (least squares of their relative errors, nothing below zero). The other half tell
what the choice by these costs is worth, and that by the costs which the package has: how often it is the slower way,
and how much more time all batches take than if each went the faster way.
"""

import argparse
import itertools
import os
import random
import time
from importlib.metadata import version
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import numpy.typing as npt

from benchmarks.shared import lines, need_shared
from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.bundle import read_bundle
from m2v_onnx.vectors.costs import Cost, Ways, ways_of

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
JOINED = (1, 5)
"""Sentences that are one text."""

CORPORA = ("sentences_en.txt", "multilingual.txt")

SAMPLES = 4
"""Batches of each size and corpus: every other one is for the costs."""

NEAR = 1.05
"""Times that differ by less are the same: as much as the least of some rounds moves."""


def batches() -> list[list[str]]:
    found = []
    for corpus in CORPORA:
        shuffled = [line for line in lines(corpus) if line]
        random.Random(1).shuffle(shuffled)
        texts = itertools.cycle(shuffled)
        found += [
            [" ".join(itertools.islice(texts, joined)) for _ in range(count)]
            for joined in JOINED
            for count in COUNTS
            for _ in range(SAMPLES)
        ]
    return found


def times(bundle: Path, some: list[list[str]], rounds: int) -> npt.NDArray[np.float64]:
    """:return: float64 [2, batches], microseconds of the graph and of the library."""
    models = [OnnxStaticModel.from_pretrained(bundle, tokenizer=way, threads=1) for way in ("graph", "tokenizers")]
    least = np.full((len(models), len(some)), np.inf)
    for turn in range(rounds):
        for number, batch in enumerate(some):
            for side in (0, 1) if turn % 2 else (1, 0):
                begin = time.process_time()
                models[side].encode(batch)
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
    ways = Ways(*(fitted(sizes[::2], of[::2]) for of in took))
    print(ways)
    for characters in (20, 80, 400):
        print(f"tokenizers is the faster one for up to {ways.most_texts(characters)} texts of {characters} characters")
    kind = read_bundle(options.bundle)
    assert kind is not None, f"{options.bundle} is no bundle"
    for name, judged in (("these costs", ways), ("the package's costs", ways_of(kind.kind))):
        print(name, "on other batches:", worth(judged, some[1::2], took[:, 1::2]))


def worth(ways: Ways, some: list[list[str]], took: npt.NDArray[np.float64]) -> str:
    """:param took: float64 [2, batches], of the graph and of the library."""
    chosen = np.array([ways.library_is_faster(len(batch), sum(map(len, batch))) for batch in some], int)
    its, least = took[chosen, np.arange(len(some))], took.min(0)
    slower = its > NEAR * least
    alone = ", ".join(
        f"{way} alone {of.sum() / least.sum() - 1:.1%}" for way, of in zip(("graph", "library"), took, strict=True)
    )
    return (
        f"{slower.mean():.0%} of {len(some)} take a way that is slower by more than {NEAR - 1:.0%};"
        f" all take {its.sum() / least.sum() - 1:.1%} more time than the faster ways ({alone});"
        f" a single one at most {(its / least).max():.2f} times as much"
    )


if __name__ == "__main__":
    main()
