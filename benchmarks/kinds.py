"""A model of any kind of tokenizer: start, memory and speed of each way to its vectors, beside model2vec.

    python -m benchmarks.kinds FOLDER BUNDLE [--rounds 5] [--texts 4096]

FOLDER is a Model2Vec model, BUNDLE what `m2v-onnx export` made of it. A large one is written by
../shared/models/multilingual/make_table.py. Each figure is the median of rounds in which all sides take their turn.
Times to the first vector are of whole processes. Private memory is what the process would give back if it ended
(psutil's uss). Speed is of one thread, on texts of ../shared that come once a round.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from model2vec import StaticModel
from tabulate import tabulate

from benchmarks.resources import AFTER, run
from benchmarks.shared import lines, need_shared
from m2v_onnx import OnnxStaticModel
from m2v_onnx.vectors.encoder import TokenizerName

WAYS: tuple[TokenizerName, ...] = ("auto", "graph", "tokenizers")
BATCHES = (1, 16, 256)
CORPORA = ("sentences_en.txt", "multilingual.txt")


def first_vectors(folder: Path, bundle: Path, rounds: int) -> list[list[Any]]:
    codes = {"model2vec": f"from model2vec import StaticModel; m = StaticModel.from_pretrained({str(folder)!r})"}
    for way in WAYS:
        opened = f"OnnxStaticModel.from_pretrained({str(bundle)!r}, tokenizer={way!r})"
        codes[f"m2v-onnx, {way}"] = f"from m2v_onnx import OnnxStaticModel; m = {opened}"
    seconds: dict[str, list[float]] = {side: [] for side in codes}
    memory: dict[str, float] = {}
    for number in range(rounds + 1):
        for side, code in codes.items():
            encode = code + "; m.encode(['The quick brown fox jumps over the lazy dog.'])"
            took, _ = run(encode)
            if number:  # the first fills the caches
                seconds[side].append(took)
            else:
                memory[side] = int(run(encode + AFTER)[1]) / 1e6
    base = statistics.median(seconds["model2vec"])
    rows = []
    for side, of in seconds.items():
        ratio = f"{statistics.median(of) / base:.3f}"
        rows.append([side, f"{statistics.median(of) * 1e3:.0f}", ratio, f"{memory[side]:.0f}"])
    return rows


def speeds(folder: Path, bundle: Path, rounds: int, texts: int) -> list[list[Any]]:
    peer = StaticModel.from_pretrained(folder)
    sides: dict[str, Callable[[list[str]], Any]] = {
        "model2vec": lambda batch: peer.encode(batch, use_multiprocessing=False)
    }
    for way in WAYS:
        model = OnnxStaticModel.from_pretrained(bundle, tokenizer=way, threads=1)
        sides[f"m2v-onnx, {way}"] = model.encode
    rows = []
    for corpus in CORPORA:
        some = [line for line in lines(corpus) if line][:texts]
        for size in BATCHES:
            batches = [some[i : i + size] for i in range(0, len(some) if size > 1 else len(some) // 8, size)]
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(rounds):
                for side, encode in sides.items():
                    begin = time.perf_counter()
                    for batch in batches:
                        encode(batch)
                    seconds[side].append(time.perf_counter() - begin)
            base = statistics.median(seconds["model2vec"])
            count = sum(map(len, batches))
            for side, of in seconds.items():
                middle = statistics.median(of)
                rows.append([corpus, size, side, f"{middle / count * 1e6:.1f}", f"{base / middle:.1f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=4096)
    options = parser.parse_args()
    need_shared()
    names = ("model2vec", "onnxruntime", "tokenizers")
    print(", ".join(f"{name} {version(name)}" for name in names))
    first = first_vectors(options.folder, options.bundle, options.rounds)
    print(tabulate(first, ["", "ms to the first vector", "of model2vec's", "private MB"], "github"))
    speed = speeds(options.folder, options.bundle, options.rounds, options.texts)
    print(tabulate(speed, ["texts", "batch", "", "us a text", "times model2vec"], "github"))


if __name__ == "__main__":
    main()
