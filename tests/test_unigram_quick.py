"""Unigram's quick way: what it says it has done is exact, and it does what it is there for."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from m2v_export.graphs.arrays import positions
from m2v_export.graphs.builder import Graph
from m2v_export.text.limits import Limits
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.words import WholeWords, split_words
from m2v_export.text.unigram import UnigramTables, build_ids, read_tables
from m2v_export.text.unigram.quick import FEW_WORDS, PLACES, ROUNDS, quick_pieces
from m2v_export.text.unigram.search import Search
from tests.conftest import CORPUS
from tests.test_unigram import TOKENIZERS, tables
from tests.text_helpers import graph_ids, pack, reference_ids, session_of, split_at

BLANK = "▁"


def quick_session(tables: UnigramTables) -> Any:
    """The quick way alone, for what has a word that is not one piece; nothing else goes there."""
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    begins, starts = codes_of(g, decode(g, utf8), offsets, tables.normalization)
    words = split_words(g, begins, tables.alphabet)
    values, differs = WholeWords(g, tables.words).find(g, words)
    search = Search(g, tables.pieces)
    unfound = positions(g, differs).slice(0, -1)
    done, values, offsets = g.if_(
        unfound.size() > 0,
        lambda g: quick_pieces(g, search, words, values, unfound, starts, tables),
        lambda g: [~(unfound.size() > -1).squeeze(0), starts, starts],
    )
    # What is not done may be anything.
    ids = search.ids(g, g.op("Min", values, np.array(search.unknown, np.int32)))
    for i, value in enumerate((done, ids, offsets)):
        g.output(value, f"y{i}")
    return session_of(g.model({}))


def quickly(session: Any, texts: list[str | bytes]) -> list[list[int]] | None:
    done, ids, starts = session.run(None, pack(texts))
    return split_at(ids, starts) if done else None


@cache
def quick(name: str) -> Any:
    return quick_session(tables(name))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_is_done_is_exact(name: str) -> None:
    """The corpus' words by themselves, some at a time, and sentences."""
    rng = np.random.default_rng(0)
    words = sorted({word for text in CORPUS for word in text.split()})
    texts: list[str | bytes] = [*CORPUS, *(" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(300))]
    expected = reference_ids(TOKENIZERS[name](), texts, None)
    done = tried = 0
    for size in (1, 3):
        for i in range(0, len(texts), size):
            found = quickly(quick(name), texts[i : i + size])
            tried += 1
            if found is not None:
                assert found == expected[i : i + size], texts[i : i + size]
                done += 1
    assert done > tried / 5  # the small models have most words in pieces, and long ones


def made(pieces: dict[str, float], *, unk_id: int = 0) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), *pieces.items()], unk_id=unk_id))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(BLANK, "always")]
    )
    return tokenizer


@cache
def letters() -> tuple[Tokenizer, Any, Any]:
    """A tokenizer, its quick way and its whole graph."""
    letters = {BLANK: -1.0, "a": -2.0, "b": -3.0, "c": -2.25}
    runs = {"ab" * count: -2.125 - count / 4 for count in range(1, 7)}
    tokenizer = made({**letters, **runs, f"{BLANK}ab": -2.5, "ba": -4.0})
    read = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(g, utf8, offsets, read, Limits.of(None, 6, None))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return tokenizer, quick_session(read), session_of(g.model({}))


def is_done(texts: list[str | bytes]) -> bool:
    """:return: whether the quick way does them; what either way makes of them is exact."""
    tokenizer, session, whole = letters()
    expected = reference_ids(tokenizer, texts, None)
    found = quickly(session, texts)
    assert found in (None, expected), texts
    assert graph_ids(whole, texts, len(texts)) == expected, texts
    return found is not None


LONG = "ab" * PLACES


@pytest.mark.parametrize("before", ["", "ab ", "c ", "cc"])
def test_the_longest_word(before: str) -> None:
    """With its blank it has one symbol fewer than there are places."""
    for length in (PLACES - 4, PLACES - 3, PLACES - 2, PLACES - 1, PLACES, PLACES + 5):
        fits = len(before.split(" ")[-1]) + length <= PLACES - 2
        assert is_done([before + LONG[:length]]) == fits, length
        assert is_done([before + LONG[:length] + "   ab", "ab"]) == fits, length


def test_as_many_words_as_it_takes() -> None:
    for count in (1, 2, FEW_WORDS - 1, FEW_WORDS, FEW_WORDS + 1):
        assert is_done(["abc " * count]) == (count <= FEW_WORDS), count
        assert is_done(["abc"] * count) == (count <= FEW_WORDS), count


def test_as_many_pieces_as_it_takes() -> None:
    """In the last round nothing may change any more."""
    for count in range(2, ROUNDS + 2):
        assert is_done(["c" * count]) == (1 + count < ROUNDS), count


@pytest.mark.parametrize("texts", [["abc", ""], ["", "abc"], ["", "", "abc", ""], [" abc "], ["abc\n\n", "abc"]])
def test_empty_texts(texts: list[str | bytes]) -> None:
    assert is_done(texts)


@pytest.mark.parametrize("text", ["abcx", "xabc", "abxc", "ab x", "abc é", f"abc {BLANK}", f"abc{BLANK}ab"])
def test_others_are_left_to_the_thorough_way(text: str) -> None:
    """Unknown characters, and blanks of the text itself."""
    assert not is_done([text])
    assert not is_done(["abc", text, "abc"])


def test_ways_that_are_nearly_the_same_are_left_to_the_thorough_way() -> None:
    for difference, done in ((0.0, False), (2.0**-24, False), (-(2.0**-24), False), (2.0**-10, True)):
        tokenizer = made({BLANK: -1.0, "a": -2.0, "b": -3.0, "c": -2.0, "ab": -4.0, "bc": -4.0 + difference})
        read = read_tables(tokenizer, json.loads(tokenizer.to_str()))
        found = quickly(quick_session(read), ["abc"])
        assert found == (reference_ids(tokenizer, ["abc"], None) if done else None), difference
