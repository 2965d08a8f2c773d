"""A query's way through BERT's tokenizers: every id as `tokenizers` has it, or the text is left to that."""

import string
from collections.abc import Callable

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.text.samples import fuzzed_texts
from m2v_onnx.vectors.ascii_words import AsciiWords
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from tests.conftest import CORPUS, POTION, make_tokenizer
from tests.texts import TEXTS

ASCII = [chr(i) for i in range(128)]

VOCABULARY = ["[UNK]", "[X]", "ab", "abc", "##c", "##cd", "##d", "Ab", "x" * 12, "x", "##x", "-", "#", "##"]


def test_every_id_is_that_of_tokenizers() -> None:
    tokenizer = Tokenizer.from_file(str(POTION / "tokenizer.json"))
    texts = [*TEXTS, *CORPUS, *fuzzed_texts(tokenizer, 20_000, seed=21), *_contexts()]
    texts += [text.encode("ascii", "ignore").decode() for text in texts]
    assert _taken(tokenizer, texts) > len(texts) // 3


@pytest.mark.parametrize("lowercase", [True, False])
def test_pieces_of_a_small_vocabulary(lowercase: bool) -> None:
    """Longest pieces that lead nowhere, words that are too long though they are pieces, a piece that is the prefix."""
    tokenizer = _small(lowercase)
    texts = ["abcd abcdd abccd abce ab-abc x#x ##c", "x" * 10 + " " + "x" * 11, "x" * 12, "AbC abC ABCD", "", " \t"]
    assert _taken(tokenizer, [*texts, *fuzzed_texts(tokenizer, 5_000, seed=3), *_contexts()]) > 1000


def test_a_text_that_may_have_an_added_token_is_left() -> None:
    tokenizer = _small(True)
    tokenizer.add_tokens(["<y>", AddedToken("*A", normalized=True)])
    words = AsciiWords.of(tokenizer)
    assert words is not None
    assert [words.ids(text) for text in ("ab<y>", "a [X]", "x *a")] == [None] * 3
    assert words.ids("ab x>") is not None
    _taken(tokenizer, fuzzed_texts(tokenizer, 2_000, seed=4))


@pytest.mark.parametrize("added", ["abq", " z", "##new", "é"])
def test_added_tokens_that_could_be_in_a_word(added: str) -> None:
    tokenizer = _small(True)
    tokenizer.add_tokens([AddedToken(added, normalized=True)])
    assert AsciiWords.of(tokenizer) is None


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordlevel"])
def test_other_tokenizers_are_left(kind: str) -> None:
    assert AsciiWords.of(make_tokenizer(kind)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda tokenizer: setattr(tokenizer, "normalizer", normalizers.Lowercase()),
        lambda tokenizer: setattr(tokenizer, "pre_tokenizer", pre_tokenizers.Whitespace()),
        lambda tokenizer: setattr(tokenizer.model, "unk_token", "[NONE]"),
        lambda tokenizer: setattr(tokenizer.model, "continuing_subword_prefix", ""),
    ],
)
def test_another_part_and_it_is_left(change: Callable[[Tokenizer], None]) -> None:
    tokenizer = _small(True)
    change(tokenizer)
    assert AsciiWords.of(tokenizer) is None


def test_a_query_is_cut_and_truncated_as_a_batch_is() -> None:
    tokens = TokenizersTokens.read(POTION / "tokenizer.json")
    for text in (*TEXTS, "unknown \x00 [UNK] words", "~" * 300):
        for max_length in (1, 5, 512, None):
            ids, _ = tokens.ids([text], max_length)
            assert tokens.ids_of_one(text, max_length).tolist() == ids[ids != tokens.unk_token_id].tolist()


def _small(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordPiece({token: i for i, token in enumerate(VOCABULARY)}, max_input_chars_per_word=10)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[X]"])
    return tokenizer


def _contexts() -> list[str]:
    """Every ASCII character beside, between and before words, and all pairs of punctuation."""
    texts = [f"ab{c}abc {c} {c}{c}x{c}" for c in ASCII]
    return texts + [f"x{a}{b}x" for a in string.punctuation for b in string.punctuation]


def _taken(tokenizer: Tokenizer, texts: list[str]) -> int:
    """How many of the texts are not left to `tokenizers`; all have its ids."""
    words = AsciiWords.of(tokenizer)
    assert words is not None
    count = 0
    for text in texts:
        ids = words.ids(text)
        if ids is not None:
            count += 1
            assert ids == tokenizer.encode(text, add_special_tokens=False).ids, text
    return count
