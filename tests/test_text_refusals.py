"""What cannot be exported exactly is refused by the name of its part."""

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.text import UnsupportedTokenizer, read_tokenizer
from tests.conftest import make_tokenizer
from tests.text_helpers import tables_of, word_piece

VOCAB = {"[UNK]": 0, "a": 1, "##b": 2, "[": 3}


def bert(**options: Any) -> Tokenizer:
    return word_piece(VOCAB, normalizers.BertNormalizer(), **options)


@pytest.mark.parametrize("kind", ["bpe", "byte-level-bpe", "unigram", "wordlevel"])
def test_other_models(kind: str) -> None:
    with pytest.raises(UnsupportedTokenizer, match=r"^(normalizer|pre_tokenizer|model): expected"):
        tables_of(make_tokenizer(kind))


def test_another_model_with_berts_parts() -> None:
    tokenizer = Tokenizer(models.BPE(VOCAB, [], unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    with pytest.raises(UnsupportedTokenizer, match="normalizer: BertNormalizer"):
        read_tokenizer(tokenizer)


@pytest.mark.parametrize(
    "normalizer", [normalizers.NFC(), normalizers.Sequence([normalizers.BertNormalizer()]), normalizers.Lowercase()]
)
def test_other_normalizers(normalizer: normalizers.Normalizer) -> None:
    with pytest.raises(UnsupportedTokenizer, match=r"^normalizer: expected BertNormalizer or None"):
        tables_of(word_piece(VOCAB, normalizer))


@pytest.mark.parametrize("pre_tokenizer", [pre_tokenizers.Whitespace(), None])
def test_other_pre_tokenizers(pre_tokenizer: pre_tokenizers.PreTokenizer | None) -> None:
    config = json.loads(bert().to_str())
    config["pre_tokenizer"] = None if pre_tokenizer is None else {"type": "Whitespace"}
    with pytest.raises(UnsupportedTokenizer, match=r"^pre_tokenizer: expected BertPreTokenizer"):
        tables_of(Tokenizer.from_str(json.dumps(config)))


def test_no_unknown_token() -> None:
    with pytest.raises(UnsupportedTokenizer, match=r"unknown token '\[X\]' is not in the vocabulary"):
        tables_of(bert(unk_token="[X]"))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"single_word": True}, "single_word"),
        ({"lstrip": True, "normalized": True}, "lstrip"),
        ({"rstrip": True, "normalized": True}, "rstrip"),
        ({"content": "a b", "normalized": True}, "white space"),
        ({"content": "\u0301", "normalized": True}, "nothing"),
        ({"content": "\ufffdx"}, "U\\+FFFD"),
    ],
)
def test_added_tokens(options: dict[str, Any], part: str) -> None:
    token = AddedToken(**{"content": "<x>", "normalized": False, **options})
    with pytest.raises(UnsupportedTokenizer, match=f"added token .*{part}"):
        tables_of(bert(added=[token]))


def test_strip_beside_a_token_with_spaces() -> None:
    strips, spaced = AddedToken("<x>", rstrip=True, normalized=False), AddedToken(" y", normalized=False)
    tables_of(bert(added=[strips]))
    tables_of(bert(added=[spaced]))
    with pytest.raises(UnsupportedTokenizer, match="added token '<x>': rstrip"):
        tables_of(bert(added=[strips, spaced]))


def test_two_added_tokens_of_one_normal_form() -> None:
    with pytest.raises(UnsupportedTokenizer, match=r"added tokens \['Foo', 'foo'\]"):
        tables_of(bert(added=[AddedToken("Foo", normalized=True), AddedToken("foo", normalized=True)]))


def test_special_tokens_that_are_read_as_text() -> None:
    tokenizer = bert(added=[AddedToken("[S]", special=True, normalized=False)])
    tokenizer.encode_special_tokens = True
    with pytest.raises(UnsupportedTokenizer, match=r"added token '\[S\]': encode_special_tokens"):
        tables_of(tokenizer)


def test_marks_in_normalized_added_tokens() -> None:
    with pytest.raises(UnsupportedTokenizer, match=r"combining marks U\+1E944 in added tokens"):
        tables_of(bert(added=[AddedToken("x\U0001e944", normalized=True)]))


def test_endless_pieces() -> None:
    vocab = VOCAB | {"a" * 5000: 4}
    tokenizer = word_piece(vocab, normalizers.BertNormalizer(), max_input_chars_per_word=10_000)
    with pytest.raises(UnsupportedTokenizer, match="model: a piece of 5000 characters"):
        tables_of(tokenizer)
