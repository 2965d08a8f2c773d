"""The quick way of the text graph: what it says it has done is exact, and it does what it is there for."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from m2v_export.graphs.builder import Graph
from m2v_export.text.wordpiece.pieces.chains import MOST_PIECES
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.quick import QUICK_BYTES, quick_ids
from m2v_export.text.wordpiece.whole import WholeWords
from tests.text_helpers import (
    assert_exact,
    pack,
    potion_tokenizer,
    potion_vocab,
    reference_ids,
    session_of,
    split_at,
    tables_of,
    word_piece,
)


def quick_session(tokenizer: Tokenizer) -> Any:
    tables = tables_of(tokenizer)
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
    whole = WholeWords(g, pieces)
    values = quick_ids(g, utf8, offsets, tables.normalization, whole, pieces, tables.longest_word, QUICK_BYTES)
    for i, value in enumerate(values):
        g.output(value, f"y{i}")
    return session_of(g.model({}))


@cache
def potion_quick() -> Any:
    return quick_session(potion_tokenizer())


def quickly(session: Any, texts: list[str | bytes]) -> list[list[int]] | None:
    done, ids, starts = session.run(None, pack(texts))
    return split_at(ids, starts) if done else None


@cache
def pieces_of_letters() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """ASCII pieces that begin words, and those inside, which two windows are enough for."""
    vocab = [token for token in potion_vocab() if token.isascii() and token.removeprefix("##").isalnum()]
    inside = [token.removeprefix("##") for token in vocab if token.startswith("##")]
    begins = [token for token in vocab if not token.startswith("##")]
    return tuple(np.array([piece for piece in of if len(piece) < 12]) for of in (begins, inside))  # type: ignore[return-value]


def plain_texts(count: int, seed: int) -> list[str | bytes]:
    """Words of the vocabulary and made of some pieces, with all that may be around and between them."""
    rng = np.random.default_rng(seed)
    begins, insides = pieces_of_letters()

    def word() -> str:
        parts = [str(rng.choice(begins)), *rng.choice(insides, rng.choice(4, p=[0.6, 0.2, 0.1, 0.1]))]
        made = "".join(parts)
        return made.upper() if rng.random() < 0.1 else made

    def text() -> str:
        between = rng.choice([" ", "  ", ", ", ".", "-", "'", "\n", "\t ", "!? ", "#"], 9, p=[0.6, *[0.4 / 9] * 9])
        words = "".join(word() + str(gap) for gap in between[: rng.integers(0, 10)])
        return words.strip() if rng.random() < 0.5 else words

    return [text() for _ in range(count)]


def most_pieces(texts: list[str | bytes]) -> int:
    """Of a word."""
    tokenizer = potion_tokenizer()
    words = [word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(str(text).lower())]
    return max([len(tokenizer.model.tokenize(word)) for word in words], default=0)


def test_small_batches_of_plain_texts_are_done() -> None:
    texts = plain_texts(700, seed=0)
    expected = reference_ids(potion_tokenizer(), texts, None)
    done = 0
    for size in (1, 2, 7, 16):
        for i in range(0, len(texts), size):
            batch = texts[i : i + size]
            found = quickly(potion_quick(), batch)
            if most_pieces(batch) <= MOST_PIECES:
                assert found == expected[i : i + size], batch
                done += 1
            else:
                assert found is None
    assert done > 1000


@pytest.mark.parametrize("texts", [[], [""], ["", ""], [" "], ["a", ""], ["", "a"], ["un", "un"], ["ab" * 3, "cd" * 3]])
def test_little(texts: list[str | bytes]) -> None:
    assert quickly(potion_quick(), texts) == reference_ids(potion_tokenizer(), texts, None)


NOT_DONE: list[str | bytes] = [
    *("é", "a\x00b", "\x7f", "[", "[MASK]", b"\xff", "漢", "x" * 101, "zqxv" * 2 + " " * 100),
    "unaffable " * 3 + "zq" * 4,
]
"""What needs more: characters of several bytes, dropped ones, what may be an added token, and words of many pieces or
too long, or what looks so."""


@pytest.mark.parametrize("text", NOT_DONE)
@pytest.mark.parametrize("others", [[], ["unaffable", ""]])
def test_others_are_left_to_the_thorough_way(text: str | bytes, others: list[str | bytes]) -> None:
    assert quickly(potion_quick(), [*others, text]) is None
    assert_exact(potion_tokenizer(), [*others, text])


@pytest.mark.parametrize("pieces", range(2, MOST_PIECES + 2))
def test_so_many_pieces(pieces: int) -> None:
    """Side by side without a space too, where one word's chain goes on with the next one's."""
    vocab = {"[UNK]": 0, "a": 1, "##b": 2, "c": 3, ",": 4}
    tokenizer = word_piece(vocab, BertNormalizer())
    session = quick_session(tokenizer)
    word = "a" + "b" * (pieces - 1)
    for text in (word, f"{word} {word}", f"{word},{word},abb,{word}", f"c{','.join([word] * 9)}", f"ab,{word}  "):
        found = quickly(session, [text])
        if pieces <= MOST_PIECES and not text.startswith("c"):
            assert found == reference_ids(tokenizer, [text], None), text
        else:
            assert found is None
        assert_exact(tokenizer, [text])


@pytest.mark.parametrize("length", [7, 8, 9, 14, 15, 16, 17, 22, 23, 40])
def test_long_pieces(length: int) -> None:
    """Of one, two and more windows; done, or left to the thorough way, it is exact."""
    long = "ab" * length
    vocab = {"[UNK]": 0, "a": 1, "##a": 2, "##b": 3, "b": 4, long[:length]: 5, "##" + long[:length]: 6}
    tokenizer = word_piece(vocab, BertNormalizer(), max_input_chars_per_word=200)
    texts: list[str | bytes] = [
        long[:end] + tail for end in (length - 1, length, length + 1, 2 * length) for tail in ("", "b", "a b")
    ]
    assert_exact(tokenizer, [*texts, "b" + long[:length]])
    found = quickly(quick_session(tokenizer), ["b" + long[:length]])
    assert found == ([[4, 6]] if length < 16 else None)


def test_unknown_words_are_left_to_the_thorough_way() -> None:
    tokenizer = word_piece({"[UNK]": 0, "a": 1, "##b": 2}, BertNormalizer())
    session = quick_session(tokenizer)
    for text, done in (("ab a", True), ("ab c a", False), ("abc", False), ("c", False), ("a.", False)):
        assert (quickly(session, [text]) is not None) == done, text
        assert_exact(tokenizer, [text, "ab"])


def test_more_bytes_are_left_to_the_thorough_way() -> None:
    tokenizer = word_piece({"[UNK]": 0, "a": 1}, BertNormalizer())
    session = quick_session(tokenizer)
    for size, done in (
        (QUICK_BYTES - 1, True),
        (QUICK_BYTES, True),
        (QUICK_BYTES + 1, False),
        (2 * QUICK_BYTES, False),
    ):
        texts: list[str | bytes] = ["a " * (size // 2), "a" * (size % 2)]
        assert (quickly(session, texts) is not None) == done, size
        assert_exact(tokenizer, texts)


def test_many_tokens_are_truncated() -> None:
    """Of one byte each, so that the quick way could."""
    texts: list[str | bytes] = ["a " * 600, "b"]
    assert len("".join(map(str, texts))) < QUICK_BYTES
    assert quickly(potion_quick(), texts) == reference_ids(potion_tokenizer(), texts, None, None)
    assert_exact(potion_tokenizer(), texts)


def test_words_that_are_too_long_are_left_to_the_thorough_way() -> None:
    """Of few pieces, too; at the limit they are done."""
    vocab = {"[UNK]": 0, "aaaa": 1, "##aaaa": 2, "##a": 3, "b": 4}
    tokenizer = word_piece(vocab, BertNormalizer(), max_input_chars_per_word=9)
    session = quick_session(tokenizer)
    for text, expected in (
        ("a" * 9, [[1, 2, 3]]),
        ("b " + "a" * 9, [[4, 1, 2, 3]]),
        ("a" * 10, None),
        ("a" * 12, None),
    ):
        assert quickly(session, [text]) == expected, text
        assert_exact(tokenizer, [text, "b", "aaaab"])
