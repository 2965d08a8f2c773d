"""BPE's merges of few words: what they say they have done is exact, and they do what they are there for."""

import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from m2v_export.graphs.builder import Graph
from m2v_export.text.bpe.few import FEW_SYMBOLS, MOST_ROUNDS, merge_few
from m2v_export.text.bpe.merge import Merger
from m2v_export.text.bpe.tables import BpeTables, read_tables
from tests.conftest import CORPUS
from tests.test_bpe import TOKENIZERS, session_with, tables, with_model
from tests.text_helpers import graph_ids, reference_ids, session_of


def few_session(its: BpeTables) -> Any:
    g = Graph()
    tokens, words = g.input("tokens", np.int32, ["P"]), g.input("words", np.int32, ["P"])
    count = g.input("count", np.int64, [1])
    for i, value in enumerate(merge_few(g, Merger(g, its.merges), tokens, words, count)):
        g.output(value, f"y{i}")
    return session_of(g.model({}))


def quickly(session: Any, its: BpeTables, words: Sequence[str]) -> list[list[int]] | None:
    """:param words: of ASCII. :return: the tokens of each; None where it was not done."""
    apart = its.merges.no_token
    rows = [[apart, *its.of_byte[[*word.encode()]].tolist()] for word in words]
    tokens = np.array([*(token for row in rows for token in row), apart], np.int32)
    numbers = np.repeat(np.arange(len(rows) + 1, dtype=np.int32), [*map(len, rows), 1])
    feeds = {"tokens": tokens, "words": numbers, "count": np.array([len(rows)])}
    done, found, of_word = session.run(None, feeds)
    assert found[0] == apart
    assert (np.diff(of_word) >= 0).all(), "words are in their order"
    return [found[(of_word == i) & (found != apart)].tolist() for i in range(len(rows))] if done else None


@cache
def few(name: str) -> Any:
    return few_session(tables(name))


def expected(tokenizer: Tokenizer, words: Sequence[str]) -> list[list[int]]:
    return [[token.id for token in tokenizer.model.tokenize(word)] for word in words]


@pytest.mark.parametrize("name", ["GPT-2", "Qwen"])
def test_what_is_done_is_exact(name: str) -> None:
    """Every word of the corpus, one and many at a time; but for runs all of them are done."""
    words = sorted({word for text in CORPUS for word in text.split() if word.isascii()})
    due = dict(zip(words, expected(TOKENIZERS[name](), words), strict=True))
    rng = random.Random(0)
    for count in (1, 1, 1, 7, 60):
        rng.shuffle(words)
        for i in range(0, min(len(words), 60 * count), count):
            batch = words[i : i + count]
            assert quickly(few(name), tables(name), batch) == [due[word] for word in batch], batch


def test_runs_of_one_token_are_left_to_the_thorough_way() -> None:
    """They take a round for each pair. What is done, and what either way makes of them, is exact."""
    tokenizer, its = TOKENIZERS["GPT-2"](), tables("GPT-2")
    texts = [before + letter * size for before in ("", "b") for letter in "-a." for size in range(2, 90, 3)]
    done = 0
    for text in texts:
        found = quickly(few("GPT-2"), its, [text])
        assert found in (None, expected(tokenizer, [text])), text
        done += found is not None
        assert graph_ids(_whole("GPT-2"), [text], 1) == reference_ids(tokenizer, [text], None), text
    assert 0 < done < len(texts)
    many = "ab" * 4 * MOST_ROUNDS
    pairs = with_model(tokenizer, vocab=_vocabulary(tokenizer) | {"ab": 5000, "abab": 5001}, merges=_PAIRS)
    its = read_tables(pairs, json.loads(pairs.to_str()))
    session = few_session(its)
    assert quickly(session, its, ["abab" * 4]) == expected(pairs, ["abab" * 4])
    assert quickly(session, its, [many]) is None
    assert graph_ids(session_with(its), [many, "ab"], 2) == reference_ids(pairs, [many, "ab"], None)


_PAIRS = [["a", "b"], ["ab", "ab"]]


def _vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """Its bytes."""
    vocabulary: dict[str, int] = json.loads(tokenizer.to_str())["model"]["vocab"]
    return {token: number for token, number in vocabulary.items() if len(token) == 1 or token.startswith("<|")}


@cache
def _whole(name: str) -> Any:
    return session_with(tables(name))


def test_as_many_symbols_as_it_takes() -> None:
    """On both sides of the border between the two ways."""
    tokenizer = TOKENIZERS["GPT-2"]()
    for size in range(FEW_SYMBOLS - 16, FEW_SYMBOLS + 17, 4):
        # No word is found whole: "zqx" with its blank and what stands between words are five.
        texts = ["zqx"] + [" zqx"] * (size // 5) + ["zq" * (size % 5)]
        assert graph_ids(_whole("GPT-2"), texts, len(texts)) == reference_ids(tokenizer, texts, None), size
