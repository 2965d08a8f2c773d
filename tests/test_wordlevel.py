"""WordLevel inside a graph against `tokenizers`."""

import json
from collections.abc import Sequence
from functools import cache

import onnx
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.text import UnsupportedTokenizer, wordlevel
from m2v_export.text.samples import fuzzed_texts, invalid_texts
from m2v_export.text.wordpiece import WordPieceTables
from m2v_onnx.ort import onnxruntime as ort
from tests.conftest import CORPUS, make_tokenizer
from tests.text_helpers import assert_ids, code_points_once, graph_ids, reference_ids, session_of, text_model
from tests.texts import TEXTS

LONG = "antidisestablishmentarianism"
WORDS = (
    *(
        "the",
        "whale",
        "é",
        "naïve",
        "i̇stanbul",
        "漢",
        "漢字",
        "한국어",
        "a_b",
        "3",
        "1984",
        "☃",
        "☃☃",
        "!",
        "!!",
        "...",
        "--",
    ),
    *("=", "≠", "=/=", "«", "\u0301", "a\u0301", "ΐ", "ς", "σ", "don't", "x" * 5, "[UNK]", "[", "UNK", "unk", "\ufffd"),
    *(LONG, LONG[:20], LONG + "s", "-" * 40, "☃" * 25, "漢" * 30, "pneumonoultramicroscopicsilicovolcanoconiosis" * 4),
)
"""Of letters, of signs and of both, short and longer than what is found whole, one the begin of another."""

PARTS = {
    "Whitespace": (normalizers.Lowercase(), pre_tokenizers.Whitespace()),
    "Whitespace, nothing normalized": (None, pre_tokenizers.Whitespace()),
    "Whitespace after BERT's normalizer": (normalizers.BertNormalizer(), pre_tokenizers.Whitespace()),
    "WhitespaceSplit": (normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()),
    "BERT's": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
}


def word_level(words: Sequence[str], parts: str = "Whitespace", unk_token: str = "[UNK]") -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token))
    normalizer, tokenizer.pre_tokenizer = PARTS[parts]
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


@cache
def tokenizer_with(parts: str) -> Tokenizer:
    tokenizer = word_level([*WORDS, *{word for line in CORPUS for word in line.lower().split()} - {*WORDS}], parts)
    tokenizer.add_special_tokens([AddedToken("[PAD]", special=True, normalized=False)])
    return tokenizer


@cache
def graph_of(tokenizer: Tokenizer, unk_token_id: int | None, max_length: int | None = 512) -> ort.InferenceSession:
    return session_of(model_of(tokenizer, unk_token_id, max_length))


def model_of(tokenizer: Tokenizer, unk_token_id: int | None, max_length: int | None) -> onnx.ModelProto:
    return text_model(_tables(tokenizer), unk_token_id, max_length)


@cache
def _tables(tokenizer: Tokenizer) -> WordPieceTables:
    return wordlevel.read_tables(tokenizer, json.loads(tokenizer.to_str()))


def assert_same_words(tokenizer: Tokenizer, texts: Sequence[str | bytes], max_length: int | None = 512) -> None:
    """With the unknown token, so that each word counts."""
    assert_ids(graph_of(tokenizer, None, max_length), texts, reference_ids(tokenizer, texts, None, max_length))


@pytest.mark.parametrize("parts", PARTS)
def test_texts(parts: str) -> None:
    tokenizer = tokenizer_with(parts)
    texts: list[str | bytes] = [
        *WORDS,
        " ".join(WORDS),
        "".join(WORDS),
        *TEXTS,
        *CORPUS,
        *fuzzed_texts(tokenizer, 1000),
    ]
    assert_same_words(tokenizer, [*texts, *invalid_texts(500)])


@pytest.mark.parametrize("parts", ["Whitespace", "WhitespaceSplit"])
def test_every_code_point(parts: str) -> None:
    """Each in one context; the export checks all three."""
    assert_same_words(tokenizer_with(parts), code_points_once())


def test_boundaries_of_texts() -> None:
    """A word of signs or letters does not go on in the next text."""
    texts: list[str | bytes] = [
        "!",
        "!",
        "the",
        "",
        "the",
        "...",
        "a",
        "_b",
        "é!",
        "!é",
        " !",
        "!! ",
        b"\xe2",
        b"\x98\x83",
    ]
    for i in range(len(texts)):
        assert_same_words(tokenizer_with("Whitespace"), texts[i:] + texts[:i])


@pytest.mark.parametrize("max_length", [1, 3, 40])
def test_cut_and_truncated(max_length: int) -> None:
    tokenizer = tokenizer_with("Whitespace")
    assert_same_words(tokenizer, [*fuzzed_texts(tokenizer, 300, seed=1), *invalid_texts(200, seed=1)], max_length)


def test_the_unknown_token_is_left_out() -> None:
    tokenizer = tokenizer_with("Whitespace")
    unk = tokenizer.token_to_id("[UNK]")
    texts = [*CORPUS, "the qqq whale", "qqq", "[UNK] the"]
    assert graph_ids(graph_of(tokenizer, unk), texts) == reference_ids(tokenizer, texts, unk)


def test_an_unknown_token_that_is_a_word() -> None:
    tokenizer = word_level(["the", "whale", "unk"], unk_token="unk")
    texts = ["the unk whale", "the qqq UNK"]
    assert graph_ids(graph_of(tokenizer, 2), texts) == reference_ids(tokenizer, texts, 2) == [[0, 1], [0]]
    assert_same_words(tokenizer, texts)


def test_ids_above_those_of_long_words() -> None:
    """Long words are searched in another table, and their ids alone do not tell how many bits an id has."""
    tokenizer = word_level([LONG, "[UNK]", *(f"w{i}" for i in range(20_000))])
    assert_same_words(tokenizer, [f"w19999 {LONG} w20000 w1", "w16384 qqq"])


def test_trained() -> None:
    assert_same_words(make_tokenizer("wordlevel"), CORPUS)


@pytest.mark.parametrize("words", [["[UNK]"], ["[UNK]", "!"], ["[UNK]", "!!", "漢"]])
def test_few_words(words: list[str]) -> None:
    assert_same_words(word_level(words), ["", "!", "a", "!! 漢 !", "漢"])


def test_refusals() -> None:
    tokenizer = word_level(["the"], unk_token="[X]")
    with pytest.raises(UnsupportedTokenizer, match=r"unknown token '\[X\]' is not in the vocabulary"):
        _tables(tokenizer)
    composed = word_level(["[UNK]"])
    composed.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    with pytest.raises(UnsupportedTokenizer, match=r"normalizer: expected .* or Lowercase or None, got Sequence"):
        _tables(composed)
    cut = word_level(["[UNK]"])
    cut.pre_tokenizer = pre_tokenizers.Metaspace()
    with pytest.raises(UnsupportedTokenizer, match=r"pre_tokenizer: expected .* or Whitespace"):
        _tables(cut)
