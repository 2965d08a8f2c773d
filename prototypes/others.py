"""A trial, nothing that is shipped: Unigram and byte-level BPE as graphs, their ids and time against `tokenizers`.

    python -m prototypes.others [--texts 4096]

Unigram's graph begins behind the normalizer and the pre-tokenizer, which leaves whole sentences in one of the models;
BPE's has its pre-tokenizer inside. What came out is in docs/text-graph-trials.md. Two of the three models
are trained here, on texts of ../shared; the third is a test model of MinishLab's.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import numpy.typing as npt
from tabulate import tabulate
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from benchmarks.shared import SHARED, lines, need_shared
from m2v_export.graphs.arrays import positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.samples import fuzzed_texts
from m2v_onnx.ort import onnxruntime as ort
from prototypes.bpe import bpe, read_merges
from prototypes.unigram import END, read_pieces, unigram

BATCH = 256
VOCABULARY, TRAINING_LINES = 8_000, 10_000

Build = Callable[[Graph, Value, Value], tuple[Value, Value]]
Words = list[list[str]]
"""What the graph is given for each text: its words, or the whole text as one."""


@dataclass(frozen=True, eq=False)
class Case:
    """:ivar words: what the graph is given. :ivar same: what takes these words, joined by SEPARATOR, and does the same
    work as the graph.
    """

    name: str
    tokenizer: Tokenizer
    words: Callable[[Sequence[str]], Words]
    same: Tokenizer
    build: Build


SEPARATOR = "\U0010ffff"


def unigram_cases(name: str, tokenizer: Tokenizer) -> Iterator[Case]:
    model, normalizer, pre_tokenizer = tokenizer.model, tokenizer.normalizer, tokenizer.pre_tokenizer
    whole, same = Tokenizer(model), Tokenizer(model)
    whole.normalizer, whole.pre_tokenizer = normalizer, pre_tokenizer
    same.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(SEPARATOR)
    pieces = read_pieces(tokenizer)

    def words(cut: Any, texts: Sequence[str]) -> Words:
        return [[word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))] for text in texts]

    for dtype in (np.float64, np.float32, np.int64):
        build = partial(unigram, pieces=pieces, dtype=dtype)
        yield Case(f"{name}, {np.dtype(dtype)}", whole, partial(words, pre_tokenizer), same, build)
    if not pre_tokenizer.split:
        build = partial(unigram, pieces=pieces, dtype=np.float64)
        yield Case(f"{name}, cut, float64", whole, partial(words, pre_tokenizers.Metaspace()), same, build)


def cases(training: Sequence[str]) -> Iterator[Case]:
    fixture = SHARED / "models" / "model2vec-rs-fixtures" / "test-model-vocab-quantized" / "tokenizer.json"
    yield from unigram_cases("Unigram, sentences", Tokenizer.from_file(str(fixture)))
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    trainer: Any = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(training, trainer)
    yield from unigram_cases("Unigram, words", tokenizer)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(training, trainer)
    build = partial(bpe, merges=read_merges(tokenizer))
    yield Case("BPE, byte-level", tokenizer, lambda texts: [[text] for text in texts], tokenizer, build)


def session_of(case: Case) -> ort.InferenceSession:
    """A graph of ``codes`` int32 [P] to ``ids`` int64 [T] and ``counts`` int64 [W], on one thread."""
    g = Graph()
    codes = g.input("codes", np.int32, ["P"]).cast(np.int64)
    ids, counts = case.build(g, codes, positions(g, codes.equals(END)))
    g.output(ids, "ids", ["T"])
    g.output(counts, "counts", ["W"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(g.model({}).SerializeToString(), options, providers=["CPUExecutionProvider"])


def pack(texts: Words) -> npt.NDArray[np.int32]:
    """:return: int32 [P]: code points, and END after each word."""
    joined = "".join(word + chr(END) for words in texts for word in words)
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.int32)


def differing(case: Case, session: ort.InferenceSession, texts: Sequence[str]) -> int:
    """How many texts have other ids than `tokenizers` gives."""
    wrong = 0
    for begin in range(0, len(texts), BATCH):
        some = texts[begin : begin + BATCH]
        words = case.words(some)
        ids, counts = session.run(None, {"codes": pack(words)})
        ends = np.concatenate([[0], counts])[np.cumsum([0, *map(len, words)])]
        due = case.tokenizer.encode_batch_fast(some, add_special_tokens=False)
        wrong += sum(ids[a:b].tolist() != one.ids for (a, b), one in zip(pairwise(ends), due, strict=True))
    return wrong


def race(case: Case, session: ort.InferenceSession, texts: Sequence[str]) -> list[float]:
    """Each batch is new: `tokenizers` has its cache, filled with other texts.

    :return: microseconds a text of the graph, and the median ratio to it of what does the same work and of the whole
        tokenizer: above 1 the graph is faster.
    """
    case.tokenizer.model._clear_cache()
    seconds: list[float] = []
    ratios: list[list[float]] = [[], []]
    for begin in range(0, len(texts) - BATCH + 1, BATCH):
        some = texts[begin : begin + BATCH]
        words = case.words(some)
        joined = [SEPARATOR.join(of) for of in words]
        start = time.perf_counter()
        session.run(None, {"codes": pack(words)})
        seconds.append(time.perf_counter() - start)
        # Not both on one batch, whose words would be in the cache.
        which, tokenizer, given = ((0, case.same, joined), (1, case.tokenizer, some))[begin // BATCH % 2]
        start = time.perf_counter()
        tokenizer.encode_batch_fast(given, add_special_tokens=False)
        ratios[which].append((time.perf_counter() - start) / seconds[-1])
    return [statistics.median(seconds) / BATCH * 1e6, *map(statistics.median, ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=4096, help="texts of each kind, 512 at least")
    count = parser.parse_args().texts
    need_shared()
    rng = np.random.default_rng(0)
    english, multilingual = (
        rng.permutation(lines(f"{name}.txt")).tolist() for name in ("sentences_en", "multilingual")
    )
    rows = []
    for case in cases(english[-TRAINING_LINES:] + multilingual[-TRAINING_LINES:]):
        session = session_of(case)
        fuzzed = fuzzed_texts(case.tokenizer, count, seed=1)
        for kind, texts in (("English", english[:count]), ("multilingual", multilingual[:count]), ("fuzzed", fuzzed)):
            rows.append([case.name, kind, differing(case, session, texts), *race(case, session, texts)])
    heads = ["graph", "texts", f"differ of {count}", "graph us", "same work, times", "whole, times"]
    print(tabulate(rows, heads, floatfmt=("", "", "", ".0f", ".2f", ".2f")))


if __name__ == "__main__":
    main()
