"""Each stage of the text graph alone against the part of `tokenizers` that it stands for."""

from functools import cache
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m2v_export.graph import Graph, Value
from m2v_export.text.added import added_table, mark_added
from m2v_export.text.arrays import groups, reachable, runs
from m2v_export.text.cut import cut
from m2v_export.text.decode import codes_of
from m2v_export.text.hashing import HashTable, build
from m2v_export.text.merge import merge
from m2v_export.text.pieces import FEW_WORDS, SHORT_WORD, Pieces, match_pieces
from m2v_export.text.probe import Characters, Kind, read_characters
from m2v_export.text.repair import repair
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_export.text.truncate import drop, truncate
from m2v_export.text.utf8 import PADDED, symbols_of
from m2v_export.text.words import WholeWords, split_words
from tests.test_text_helpers import (
    potion_tables,
    potion_tokenizer,
    potion_vocab,
    run_on_arrays,
    run_on_texts,
    split_at,
)

TEXTS = [text for text in fuzzed_texts(potion_tokenizer(), 1500, seed=11) if "[" not in text]
"""No added tokens: they are no part of the normalizer, the pre-tokenizer and the model."""


def normalized(text: str) -> str:
    return str(potion_tokenizer().normalizer.normalize_str(text))


def coded(text: str) -> list[int]:
    """Normalized text as the graph's codes."""
    characters = potion_characters()
    return [potion_tables().alphabet.code(c, characters.kind(c)) for c in text]


@cache
def potion_characters() -> Characters:
    return read_characters(potion_tokenizer())


def test_decode_reads_bytes_as_python_does() -> None:
    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        symbols, starts = repair(g, symbols_of(g, utf8), offsets)
        return [symbols.slice(0, -PADDED), starts]

    texts = [*invalid_texts(5000), b"", "é".encode(), b"\xc3", b"\xa9"]
    found = split_at(*run_on_texts(build, texts))
    assert [bytes(text) for text in found] == [text.decode("utf-8", "replace").encode() for text in texts]


@pytest.mark.parametrize("code_points", [0, 1, 5, 1000])
def test_cut_counts_code_points(code_points: int) -> None:
    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        symbols, starts = cut(g, symbols_of(g, utf8), offsets, code_points)
        symbols, starts = repair(g, symbols, starts)
        return [symbols.slice(0, -PADDED), starts]

    texts: list[str | bytes] = ["", *invalid_texts(300, seed=1), *TEXTS[:300], "", "é" * 2000, ""]
    texts_found = split_at(*run_on_texts(build, texts))
    decoded = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts]
    assert [bytes(text).decode() for text in texts_found] == [text[:code_points] for text in decoded]


def test_normalize_is_the_normalizer() -> None:
    """But for the spaces around ideographs, which are words of their own by their codes."""
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        codes, starts = codes_of(g, symbols_of(g, utf8), offsets, tables.codes)
        return [codes.slice(0, -PADDED), starts]

    texts = [*TEXTS, *(text for text in list(code_point_texts())[::4] if "[" not in text)]
    found = split_at(*run_on_texts(build, texts))
    for text, codes in zip(texts, found, strict=True):
        assert [c for c in codes if c >= 0] == [c for c in coded(normalized(text)) if c >= 0], repr(text)


def words_of(text: str) -> list[str]:
    return [word for word, _ in potion_tokenizer().pre_tokenizer.pre_tokenize_str(normalized(text))]


def test_words_are_the_pre_tokenizer() -> None:
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        codes, starts = codes_of(g, symbols_of(g, utf8), offsets, tables.codes)
        words = split_words(g, codes, starts, tables.alphabet)
        return [codes, words.starts, words.gaps, words.first_words]

    codes, starts, gaps, first_words = run_on_texts(build, TEXTS)
    found = [codes[at : at + gap].tolist() for at, gap in zip(starts, gaps, strict=True)]
    ends = [*first_words.tolist()[1:], len(found)]
    for text, begin, end in zip(TEXTS, first_words, ends, strict=True):
        words = [[c for c in word if c >= 0] for word in found[begin:end]]
        assert words == [coded(word) for word in words_of(text)], repr(text)


WORDS = sorted({word for text in TEXTS for word in words_of(text)} | {w for w in potion_vocab() if words_of(w) == [w]})
"""Normalized words: those of the texts, and the vocabulary's own."""


def test_whole_words_are_the_vocabulary() -> None:
    """Found are those words of the vocabulary that fit a key, and nothing else."""
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        codes, starts = codes_of(g, symbols_of(g, utf8), offsets, tables.codes)
        words = split_words(g, codes, starts, tables.alphabet)
        return list(WholeWords(g, tables.words, tables.alphabet).find(g, words))

    ids, found = run_on_texts(build, WORDS)
    vocab, reach = potion_vocab(), tables.words.keys.reach
    for word, token_id, is_found in zip(WORDS, ids, found, strict=True):
        assert is_found == (word in vocab and len(word) < reach), word
        assert not is_found or token_id == vocab[word], word


@pytest.mark.parametrize(
    "words",
    [WORDS, [word for word in WORDS if len(word) < SHORT_WORD], WORDS[: FEW_WORDS // 2]],
    ids=["long and short", "many, by rounds", "few, at once"],
)
def test_pieces_are_the_model(words: list[str]) -> None:
    """Every word as if it had been missed."""
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        codes, starts = codes_of(g, symbols_of(g, utf8), offsets, tables.codes)
        places = split_words(g, codes, starts, tables.alphabet)
        pieces = Pieces(g, tables.trie, tables.alphabet)
        missed = g.op("Range", np.array(0), places.starts.size().squeeze(0), np.array(1))
        return list(match_pieces(g, pieces, places, missed, tables.unk_id, tables.longest_word))

    ids, of_word, counts = run_on_texts(build, words)
    expected = [[token.id for token in potion_tokenizer().model.tokenize(word)] for word in words]
    assert counts.tolist() == [len(word) for word in expected]
    assert of_word.tolist() == [i for i, word in enumerate(expected) for _ in word]
    assert ids.tolist() == [token_id for word in expected for token_id in word]


LISTS = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6)


@given(LISTS, st.integers(0, 4))
def test_truncate_keeps_the_first(texts: list[list[int]], most: int) -> None:
    flat, starts = flattened(texts)
    found = split_at(*run_on_arrays(lambda g, ids, offsets: truncate(g, ids, offsets, most), flat, starts))
    assert found == [text[:most] for text in texts]


@given(LISTS)
def test_drop_leaves_one_out(texts: list[list[int]]) -> None:
    found = split_at(*run_on_arrays(lambda g, ids, offsets: drop(g, ids, offsets, 3), *flattened(texts)))
    assert found == [[i for i in text if i != 3] for text in texts]


def flattened(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    starts = [0, *accumulate(map(len, texts))][: len(texts)]
    return np.array([i for text in texts for i in text], np.int32), np.array(starts, np.int64)


def test_merge_puts_pieces_in_place() -> None:
    words, missed = np.array([10, 11, 12, 13], np.int32), np.array([1, 3])
    pieces, of_word, counts = np.array([1, 2, 3], np.int32), np.array([0, 0, 1]), np.array([2, 1], np.int32)
    ids, before = run_on_arrays(lambda g, *x: merge(g, *x), words, missed, pieces, of_word, counts)
    assert ids.tolist() == [10, 1, 2, 12, 3]
    assert before.tolist() == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([1, 2, 0, 1], [50, -9, 0, 1]),
        ([1, 2, 3, 0], [60, -9, -9, 0]),
        ([2, 3, 2, 3], [70, -9, 70, -9]),
        ([1, 2, 3, 2, 3], [60, -9, -9, 70, -9]),
        ([0, 2, 1, 2], [0, 2, 50, -9]),
    ],
)
def test_added_tokens_are_the_leftmost_longest(symbols: list[int], expected: list[int]) -> None:
    table = added_table({(1, 2): 50, (1, 2, 3): 60, (2, 3): 70}, 10)
    assert table is not None
    (found,) = run_on_arrays(
        lambda g, codes, starts: [mark_added(g, codes, codes, starts, table, -9)],
        np.array(symbols, np.int32),
        np.array([0]),
    )
    assert found.tolist() == expected


def test_added_tokens_end_with_the_text() -> None:
    table = added_table({(1, 2): 50}, 10)
    assert table is not None
    (found,) = run_on_arrays(
        lambda g, codes, starts: [mark_added(g, codes, codes, starts, table, -9)],
        np.array([1, 2, 1, 2], np.int32),
        np.array([0, 1]),
    )
    assert found.tolist() == [1, 2, 50, -9]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_groups(counts: list[int]) -> None:
    group, place = run_on_arrays(lambda g, x: groups(g, x), np.array(counts))
    assert group.tolist() == [i for i, count in enumerate(counts) for _ in range(count)]
    assert place.tolist() == [j for count in counts for j in range(count)]


def test_runs() -> None:
    values = np.array([5, 6, 7, 8, 9], np.int32)
    kept, starts = run_on_arrays(lambda g, *x: runs(g, *x), values, np.array([0, 1, 1, 2]), np.array([1, 0, 0, 2]))
    assert kept.tolist() == [5, 7, 8, 9]
    assert starts.tolist() == [0, 1, 1, 1]


def test_reachable() -> None:
    marks = np.array([0, 1, 0, 0, 0, 0, 0], np.int32)
    (found,) = run_on_arrays(lambda g, *x: [reachable(g, *x)], marks, np.array([1, 3, 3, 4, 6, 6, 6]))
    assert found[:-1].tolist() == [0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize("count", [0, 1, 5, 3000])
def test_a_hash_table_finds_its_keys_alone(count: int) -> None:
    rng = np.random.default_rng(count)
    keys = np.unique(rng.integers(0, 2**62, 2 * count)).reshape(-1)[: count * 2]
    rng.shuffle(keys)
    inside, outside = keys[:count], keys[count:]
    table, slots = build(inside[None])

    def find(g: Graph, x: Value) -> list[Value]:
        slot, found = HashTable(g, table, "t").find(g, [x], x)
        return [slot, found]

    slot, found = run_on_arrays(find, np.concatenate([inside, outside, [0]]))
    assert slot[:count].tolist() == slots.tolist()
    assert found.tolist() == [True] * count + [False] * (len(outside) + 1)


def test_kinds_of_characters() -> None:
    characters = potion_characters()
    assert [characters.kind(c) for c in " a!漢\u2028"] == [
        Kind.SEPARATOR,
        Kind.WORD,
        Kind.ISOLATED,
        Kind.ISOLATED,
        Kind.SEPARATOR,
    ]
    assert characters.form("ÀB漢 한\x00ﬁİ") == "ab漢 \u1112\u1161\u11ab" + "ﬁi"
