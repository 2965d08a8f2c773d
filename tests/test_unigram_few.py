"""The way of few words through a Unigram: the same to the last bit as the thorough one, where it ends and beyond."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from m2v_export.graphs.builder import Graph
from m2v_export.text.limits import Limits
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.unigram import build_ids, read_tables
from m2v_export.text.unigram.best import best_ways
from m2v_export.text.unigram.few import FEW_SYMBOLS, LONGEST_WORD, few_ways
from m2v_export.text.unigram.pieces import NONE
from m2v_export.text.unigram.search import FEW_SYMBOLS as FEW_TO_WALK
from m2v_export.text.unigram.search import LONGEST_OF_FEW
from tests.test_unigram_quick import made
from tests.text_helpers import graph_ids, reference_ids, session_of


@cache
def both_ways() -> Any:
    g = Graph()
    scores, sizes = g.input("scores", np.float64, ["P", "L"]), g.input("sizes", np.int32, ["M"])
    words = characters_of(g, sizes, sizes)
    for name, best in (("few", few_ways(g, scores, words)), ("any", best_ways(g, scores, words, words.firsts, sizes))):
        g.output(best.columns, f"{name}_columns")
        g.output(best.sums, f"{name}_sums")
    return session_of(g.model({}))


@pytest.mark.parametrize("kind", ["thirds", "equal", "one long"])
def test_the_same_sums_and_the_same_of_equal_ways(kind: str) -> None:
    """Thirds tell the order of additions; equal scores tell which of equal ways is taken."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 12, rng.integers(1, 9)).astype(np.int32)
        if kind == "one long":
            sizes[rng.integers(len(sizes))] = 40
        lengths = int(rng.integers(1, 5)) * 4
        scores = -rng.integers(1, 4 if kind == "equal" else 60, (sizes.sum(), lengths)) / (1 if kind == "equal" else 3)
        # A piece begins in its word, and each symbol is one.
        place = np.concatenate([np.arange(size) for size in sizes])[:, None]
        length = lengths - np.arange(lengths)
        scores[(rng.random(scores.shape) < 0.6) & (length > 1) | (length > place + 1)] = NONE
        columns, sums, other_columns, other_sums = both_ways().run(None, {"scores": scores, "sizes": sizes})
        np.testing.assert_array_equal(columns, other_columns)
        np.testing.assert_array_equal(sums, other_sums)


@cache
def letters() -> tuple[Any, Any]:
    """A tokenizer with pieces longer than are found at once, and its graph."""
    runs = {"ab" * count: -2.125 - count / 4 for count in range(1, LONGEST_OF_FEW)}
    runs["▁" + "c" * LONGEST_OF_FEW] = -3.0
    tokenizer = made({"▁": -1.0, "a": -2.0, "b": -3.0, "c": -2.25, **runs, "ba": -4.0, "ca": -4.25})
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(
        g, utf8, offsets, read_tables(tokenizer, json.loads(tokenizer.to_str())), Limits.of(None, 6, None)
    )
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return tokenizer, session_of(g.model({}))


def check(texts: list[str | bytes]) -> None:
    tokenizer, whole = letters()
    assert graph_ids(whole, texts, len(texts)) == reference_ids(tokenizer, texts, None)


@pytest.mark.parametrize("beside", ["", "x", "cab " * 50])
def test_long_pieces(beside: str) -> None:
    for count in (LONGEST_OF_FEW // 2 - 1, LONGEST_OF_FEW // 2, LONGEST_OF_FEW // 2 + 1, LONGEST_OF_FEW - 1):
        for text in ("ab" * count, "c" + "ab" * count + "c", "ab" * count + "a"):
            check([text + " " + beside, beside + text])


def test_long_words() -> None:
    for count in (LONGEST_WORD - 2, LONGEST_WORD - 1, LONGEST_WORD, LONGEST_WORD + 1, 150):
        check(["c" * count, "cab", "cba" * count])


@pytest.mark.parametrize("limit", [FEW_TO_WALK, FEW_SYMBOLS])
def test_as_many_symbols_as_it_takes(limit: int) -> None:
    word = "ccabab cxcc "  # twelve symbols, with a blank before each word
    for rest in (-2, -1, 0, 1, 2):
        symbols = limit + rest
        check([*[word] * (symbols // 12), "c" * max(symbols % 12 - 1, 1)])


@pytest.mark.parametrize("behind", ["", "a", "ba", " cab"])
def test_the_first_word_alone_has_a_long_piece(behind: str) -> None:
    check(["c" * LONGEST_OF_FEW + behind])
