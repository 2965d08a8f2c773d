"""SentencePiece's BPE inside a graph against `tokenizers`: Llama 2's, Gemma's and Mistral's forms of it."""

import json
import random
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from m2v_export.text import UnsupportedTokenizer, read_tokenizer
from m2v_export.text.bpe import BpeTables, read_tables
from m2v_export.text.bpe.merges import last_merges
from m2v_export.text.bpe.pairs import ALONE, TOGETHER, read_pairs
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_onnx.ort import onnxruntime as ort
from tests.conftest import CORPUS
from tests.test_bpe import assert_same, session_with
from tests.texts import TEXTS

BLANK = "▁"
BYTES = [f"<0x{byte:02X}>" for byte in range(0x100)]


@cache
def trained() -> Tokenizer:
    """Llama 2's parts: a blank before, blanks for spaces, no pre-tokenizer, the bytes of what is no token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    # Trained on words; runs of blanks are merged, too.
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=["<unk>", "<s>", *BYTES], limit_alphabet=300, show_progress=False
    )
    tokenizer.train_from_iterator([*CORPUS, *TEXTS] * 2, trainer)
    config = json.loads(tokenizer.to_str())
    config["added_tokens"] = [token for token in config["added_tokens"] if token["content"] not in BYTES]
    vocab, merges = config["model"]["vocab"], config["model"]["merges"]
    for left, right in ((BLANK, BLANK), (BLANK * 2, BLANK * 2), (BLANK * 4, BLANK * 4)):
        vocab.setdefault(left + right, len(vocab))
        merges.insert(0, [left, right])
    config["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(config))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    return tokenizer


def changed(**parts: Any) -> Tokenizer:
    tokenizer = Tokenizer.from_str(trained().to_str())
    for part, value in parts.items():
        setattr(tokenizer, part, value)
    return tokenizer


@cache
def like_gemma() -> Tokenizer:
    """Nothing before a text; runs of line breaks, tabs and blanks are added tokens; nothing is split."""
    tokenizer = changed(
        normalizer=normalizers.Replace(" ", BLANK), pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous")
    )
    runs = [c * n for c in ("\n", "\t", BLANK) for n in range(2, 6)]
    tokenizer.add_tokens([AddedToken(of, normalized=False) for of in (*runs, "<b>", "</b>", "<unused1>")])
    return tokenizer


def like_mistral(scheme: str, split: bool = False) -> Tokenizer:
    """Metaspace in place of a normalizer. Two kinds of added tokens."""
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    tokenizer = changed(normalizer=None, pre_tokenizer=metaspace)
    tokenizer.add_tokens([AddedToken("<x>", normalized=True), AddedToken("[INST]", normalized=False)])
    return tokenizer


TOKENIZERS = {
    "Llama 2": trained,
    "Gemma": like_gemma,
    "Mistral": cache(lambda: like_mistral("first")),
    "always": cache(lambda: like_mistral("always")),
    "split": cache(lambda: like_mistral("first", split=True)),
    "never": cache(lambda: like_mistral("never")),
}


@cache
def tables(name: str) -> BpeTables:
    tokenizer = TOKENIZERS[name]()
    return read_tables(tokenizer, json.loads(tokenizer.to_str()))


@cache
def session(name: str, max_length: int | None = None) -> ort.InferenceSession:
    return session_with(tables(name), max_length)


def assert_exact(name: str, texts: list[Any], max_length: int | None = None) -> None:
    assert_same(TOKENIZERS[name](), session(name, max_length), texts, max_length)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts(name: str) -> None:
    assert_exact(name, [*TEXTS, *CORPUS, *fuzzed_texts(TOKENIZERS[name](), 1500), "", " ", "\t\n", "<s>", "<s> <s"])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_blanks_and_added_tokens(name: str) -> None:
    """Blanks that are spaces and blanks of the text, beside added tokens and where texts begin."""
    parts = [" ", "  ", BLANK, BLANK * 3, "\u2580", "\u2582", "\u00a0", "<s>", "<x>", "[INST]", "<b>", "\n\n", "\t\t\t"]
    parts += ["the", "whale", "a", "é", "漢字", "\U0001f600", "<0x41>", "<", "0x0A>", "<unk>", "x", "."]
    rng = random.Random(6)
    assert_exact(name, ["".join(rng.choices(parts, k=rng.randint(0, 9))) for _ in range(4000)])


@pytest.mark.parametrize("name", ["Llama 2", "Gemma"])
def test_every_code_point(name: str) -> None:
    """A third of them; the export checks them all."""
    assert_exact(name, list(code_point_texts())[::3])


@pytest.mark.parametrize("name", ["Llama 2", "Gemma", "split"])
def test_cut_and_truncated(name: str) -> None:
    texts = [*TEXTS, *CORPUS, *fuzzed_texts(TOKENIZERS[name](), 200, seed=1)]
    assert_exact(name, [*texts, *(text * 40 for text in texts[:60])], max_length=16)


@pytest.mark.parametrize("name", ["Llama 2", "Gemma"])
def test_bytes_that_are_no_utf8(name: str) -> None:
    assert_exact(name, list(invalid_texts(300)))


@pytest.mark.parametrize("seed", range(4))
def test_merges_in_any_order(seed: int) -> None:
    """Merges that no training makes, over blanks too, of characters of one to four bytes. A text is one word."""
    rng = random.Random(seed)
    letters = [BLANK, "a", "é", "漢", "\U0001f600"][: 3 + seed % 3]
    tokens = {"".join(rng.choices(letters, k=rng.randint(2, 6))) for _ in range(40)}
    vocab = {token: i for i, token in enumerate(["<unk>", *BYTES, *letters, *sorted(tokens)])}
    pairs = [(token[:i], token[i:]) for token in tokens for i in range(1, len(token))]
    pairs = [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab]
    rng.shuffle(pairs)
    tokenizer = Tokenizer(models.BPE(vocab, pairs, unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", BLANK)
    letters += [" ", "b", "ü"]
    texts = ["".join(rng.choices(letters, k=rng.choice((3, 8, 20, 60)))) for _ in range(1500)]
    its = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    assert_same(tokenizer, session_with(its), texts)


def test_long_words() -> None:
    rng = random.Random(2)
    words = ["a" * n for n in (2, 15, 16, 17, 100, 3000)] + ["ab" * 500, "漢字" * 300, " " * 2000, BLANK * 999]
    words += ["".join(rng.choices("etaoinshrdlu", k=2000)) for _ in range(5)]
    assert_exact("Llama 2", [*words, " ".join(words), *CORPUS[:50]])


def test_no_text_is_cut_where_a_merge_reaches() -> None:
    """With more characters than there are classes."""
    rng = random.Random(1)
    letters = [chr(0x4E00 + i) for i in range(3 * (ALONE + TOGETHER))]
    merges = {(rng.choice(letters), "".join(rng.choices(letters, k=rng.randint(1, 3)))) for _ in range(5000)}
    pairs, classes = read_pairs(merges)
    table = pairs.begins.reshape(pairs.classes, pairs.classes)
    for left, right in merges:
        assert table[classes[ord(left[-1])], classes[ord(right[0])]] == 0
    assert classes.max() < pairs.classes <= 1 + ALONE + TOGETHER
    assert table[0].all(), "what no merge has begins words"
    assert table[:, 0].all(), "and ends them"
    assert table.sum() > table.size / 4


def test_words_of_text_are_short() -> None:
    """Without cuts a text is one word."""
    tokenizer = trained()
    config = json.loads(tokenizer.to_str())
    last = last_merges(config["model"]["vocab"], [tuple(pair) for pair in config["model"]["merges"]])
    pairs, classes = read_pairs(pair for _, pair in last.values())
    table = pairs.begins.reshape(pairs.classes, pairs.classes)
    text = BLANK + BLANK.join(CORPUS[:20])
    begins = sum(table[classes[ord(a)], classes[ord(b)]] for a, b in pairwise(text))
    assert begins > text.count(BLANK)
    assert all(table[classes[ord(c)], classes[ord(BLANK)]] for c in set(text) - {BLANK})


def with_parts(**parts: Any) -> Tokenizer:
    config = json.loads(trained().to_str())
    for part, value in parts.items():
        config[part] = {**config[part], **value} if part == "model" else value
    return Tokenizer.from_str(json.dumps(config))


METASPACE = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "first", "split": False}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"model": {"ignore_merges": True}}, "model: ignore_merges of a model with byte_fallback"),
        ({"model": {"dropout": 0.1}}, "model: dropout"),
        (
            {"normalizer": {"type": "NFKC"}},
            "normalizer: expected Replace of a space by ▁, with Prepend or not, got NFKC",
        ),
        ({"normalizer": None}, "pre_tokenizer: expected Metaspace of ▁ where there is no normalizer, got none"),
        ({"pre_tokenizer": METASPACE}, "pre_tokenizer: Metaspace behind Replace"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer: Whitespace behind Replace"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedTokenizer, match=message):
        read_tokenizer(with_parts(**parts))


def test_a_vocabulary_without_a_byte_is_refused() -> None:
    vocab = json.loads(trained().to_str())["model"]["vocab"]
    del vocab["<0x80>"]
    with pytest.raises(UnsupportedTokenizer, match="model: no token <0x80> for a byte"):
        read_tokenizer(with_parts(model={"vocab": vocab}))


def test_a_merge_of_a_byte_is_refused() -> None:
    model = json.loads(trained().to_str())["model"]
    vocab = model["vocab"] | {"<0x80>a": len(model["vocab"])}
    merges = [[left, right] for left, right in (("<", "0"), ("<0", "x"), ("<0x", "8"), ("<0x8", "0"), ("<0x80", ">"))]
    vocab |= {left + right: vocab.get(left + right, len(vocab) + i) for i, (left, right) in enumerate(merges)}
    vocab |= {c: vocab.get(c, len(vocab) + 9 + i) for i, c in enumerate("<0x8>a")}
    merges = [*merges, ["<0x80>", "a"], *model["merges"]]
    with pytest.raises(UnsupportedTokenizer, match="model: a merge of '<0x80>' and 'a', one of which is a byte"):
        read_tokenizer(with_parts(model={"vocab": vocab, "merges": merges}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lstrip": True}, "lstrip"),
        ({"rstrip": True}, "rstrip"),
        ({"normalized": True}, "normalized, and the normalizer changes it"),
    ],
)
def test_added_tokens_that_are_refused(options: dict[str, bool], message: str) -> None:
    tokenizer = changed()
    tokenizer.add_tokens([AddedToken("abc", **({"normalized": False} | options))])
    with pytest.raises(UnsupportedTokenizer, match=f"added token 'abc': {message}"):
        read_tokenizer(tokenizer)
