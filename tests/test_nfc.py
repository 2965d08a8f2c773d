"""Byte-level BPE behind canonical composition (NFC) inside a graph, against `tokenizers`."""

import random
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from m2v_export.bundle.golden import TEXTS as GOLDEN_TEXTS
from m2v_export.graphs.builder import Graph
from m2v_export.text import Limits, UnsupportedTokenizer, read_tokenizer
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_export.text.tables.composition import read_composition
from m2v_export.text.tables.marks import numbered_classes
from m2v_onnx.ort import onnxruntime as ort
from tests.conftest import CORPUS
from tests.text_helpers import graph_ids, reference_ids, session_of
from tests.texts import CODE_POINTS, TEXTS

# Python's Unicode serves to choose what is asked, never to say what is right.
MARKS = [c for c in map(chr, CODE_POINTS) if unicodedata.combining(c)]
COMPOSED = [c for c in map(chr, CODE_POINTS) if unicodedata.normalize("NFD", c) != c and not "가" <= c <= "힣"]
FIRSTS, LASTS = (sorted({unicodedata.normalize("NFD", c)[i] for c in COMPOSED}) for i in (0, -1))
JAMO = [chr(i) for begin, end in ((0x1100, 0x1113), (0x1160, 0x1177), (0x11A6, 0x11C4)) for i in range(begin, end)]
SYLLABLES = [chr(i) for i in range(ord("가"), ord("가") + 64)]


def trained(
    *, prefix: bool = False, tokens: Sequence[AddedToken] = (AddedToken("<|end|>", normalized=False),)
) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*CORPUS, *GOLDEN_TEXTS] * 2, trainer)
    tokenizer.add_tokens(list(tokens))
    return tokenizer


bpe = cache(trained)


def session_with(tokenizer: Tokenizer, max_length: int | None = None) -> ort.InferenceSession:
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = read_tokenizer(tokenizer)(g, utf8, offsets, Limits.of(max_length, 6, None))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return session_of(g.model({}))


session = cache(lambda prefix=False, max_length=None: session_with(bpe(prefix=prefix), max_length))


def assert_exact(
    texts: Sequence[str | bytes],
    tokenizer: Tokenizer | None = None,
    graph: ort.InferenceSession | None = None,
    max_length: int | None = None,
) -> None:
    expected = reference_ids(tokenizer or bpe(), texts, None, max_length)
    for batch in (256, 3):
        of = texts if batch > 3 else texts[:300]
        found = graph_ids(graph or session(), of, batch)
        wrong = [(text, got, due) for text, got, due in zip(of, found, expected, strict=False) if got != due]
        assert not wrong, f"{len(wrong)} of {len(of)} texts differ in batches of {batch}, the first: {wrong[0]!r}"


def hard_texts(count: int, seed: int = 0) -> list[str]:
    """Characters with marks in any number and order, those of syllables, composed ones with more marks, tokens."""
    rng = random.Random(seed)
    parts = (
        lambda: rng.choice(FIRSTS) + "".join(rng.choices(LASTS, k=rng.randint(0, 5))),
        lambda: rng.choice(FIRSTS) + "".join(rng.choices(MARKS, k=rng.randint(0, 5))),
        lambda: rng.choice("aeiouAIOnscz") + "".join(rng.choices("\u0300\u0301\u0302\u0308\u0323\u031b\u0334", k=3)),
        lambda: rng.choice(COMPOSED) + "".join(rng.choices(LASTS, k=rng.randint(0, 3))),
        lambda: "".join(rng.choices(JAMO + SYLLABLES, k=rng.randint(1, 6))),
        lambda: rng.choice(MARKS) * rng.randint(1, 3),
        lambda: rng.choice(("<|end|>", " ", "\n", "a", "x y ", "漢")),
    )
    return ["".join(rng.choice(parts)() for _ in range(rng.choice((1, 2, 5, 20)))) for _ in range(count)]


def test_texts() -> None:
    fuzzed = fuzzed_texts(bpe(), 600)
    assert_exact([*TEXTS, *CORPUS, *fuzzed, *(unicodedata.normalize("NFD", text) for text in [*CORPUS, *fuzzed])])


def test_every_code_point() -> None:
    """All of those that composition may change, and a part of the others; the export checks them all."""
    careful = "".join([*MARKS, *COMPOSED, *JAMO, *LASTS])
    rows = [careful[i : i + 32] for i in range(0, len(careful), 32)]
    assert_exact(["".join(f"{c}\u0323{c}\u0301 e{c}\u0323 " for c in row) for row in rows])
    assert_exact([*(" ".join(row) for row in rows), *list(code_point_texts())[::9]])


def test_marks_in_any_order() -> None:
    assert_exact(hard_texts(4000))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Tie\u0302\u0301ng Vie\u0323\u0302t", "Tiếng Việt"),
        ("Tie\u0301\u0302ng Vie\u0302\u0323t", "Tie\u0301\u0302ng Việt"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국"),
        ("\ud558\u11ab\uad6d\u11a8", "한\uad6d\u11a8"),
        ("\u0928\u093c \u0915\u093c \u0958", "\u0929 \u0915\u093c \u0915\u093c"),
        ("\u212b \u2126 \u212a \u037e", "Å Ω K ;"),
        ("\u0344a \U0001d15e \u2adc \ufb1d", "\u0308\u0301a \U0001d157\U0001d165 \u2add\u0338 \u05d9\u05b4"),
        ("\u0323\u0301", "\u0323\u0301"),
        ("\u0301\u0323 a", "\u0323\u0301 a"),
        ("a\u0334\u0301 a\u0301\u0334 a\u0315\u0301", "a\u0301\u0334 á\u0334 á\u0315"),
        ("\u0cc6\u0cc2\u0cd5 \u0dd9\u0dcf\u0dca", "\u0ccb \u0ddd"),
        ("\u0cc6\u0334\u0cc2 \u1100\u0334\u1161", "\u0cc6\u0334\u0cc2 \u1100\u0334\u1161"),
        ("e<|end|>\u0301e\u0301<|end|>\u0301\u0323", "e<|end|>\u0301\u00e9<|end|>\u0323\u0301"),
    ],
)
def test_what_composes(text: str, same: str) -> None:
    """Decomposed Vietnamese, Korean and Hindi, singletons, exclusions, marks that keep others apart, tokens between."""
    found = graph_ids(session(), ["e", text, "", same, "\u0301"])
    assert found[1] == found[3]
    assert_exact(["e", text, "", same, "\u0301"])


def test_no_text_takes_up_what_another_begins_with() -> None:
    texts = ["", "e", "\u0301", "", "", "\u1100", "\u1161\u0323", "\u0301\u0323", "a\u0301", "", "\u0323"]
    assert_exact([*texts, *texts[::-1]])
    assert_exact(["\u0301"])
    assert graph_ids(session(), []) == []


def test_bytes_that_are_no_utf8() -> None:
    rng = random.Random(1)
    broken = [bytes(byte for byte in text.encode() if rng.random() > 0.03) for text in hard_texts(500, seed=1)]
    assert_exact([*broken, *invalid_texts(300), b"e\xcc", b"\x81\xcc\x81e\xcc\x81", b"e\xff\xcc\x81"])


def test_cut_and_truncated() -> None:
    """The cut counts the characters of the text as it is."""
    texts = [*hard_texts(300, seed=2), *(text * 60 for text in hard_texts(40, seed=3))]
    assert_exact(texts, graph=session(max_length=16), max_length=16)


def test_a_blank_is_put_before() -> None:
    texts = [
        *hard_texts(500, seed=4),
        "",
        " \u0301",
        "\u0301",
        "\u2000a",
        "<|end|>\u0301\u0323",
        "e\u0301<|end|>e\u0301",
    ]
    assert_exact(texts, bpe(prefix=True), session(prefix=True))


def test_long_runs() -> None:
    runs = [
        "a" + "\u0301" * 400,
        "\u0301\u0323" * 300,
        "\u1100\u1161\u11a8" * 300,
        "\u1161" * 300,
        "e\u0323\u0301" * 300,
    ]
    assert_exact([*runs, "a".join(runs)])


def test_classes_of_marks_are_in_order() -> None:
    marks = ["\u0334", "\u093c", "\u3099", "\u094d", "\u05b0", "\u0327", "\u0323", "\u0301", "\u0308", "\u0345"]
    classes = numbered_classes(random.Random(0).sample(marks, len(marks)))
    assert [classes[c] for c in marks] == [1, 2, 3, 4, 5, 6, 7, 8, 8, 9]


@pytest.mark.parametrize(
    ("token", "keeps"),
    [
        ("|||IP_ADDRESS|||", True),
        ("<|x", False),
        ("  ", True),
        ("<|end|>", False),
        ("K1", False),
        ("1;1", False),
        ("é1", False),
        ("\u03011", False),
        ("の1", True),
        ("漢", False),
        ("x", False),
        ("[unused1]", True),
    ],
)
def test_tokens_that_composition_keeps(token: str, keeps: bool) -> None:
    """It takes up what is behind a token, as U+0338 behind ``>``, or makes a token's characters of others (U+FA47)."""
    assert read_composition().keeps(token) == keeps


def test_added_tokens_in_composed_text() -> None:
    tokenizer = trained(tokens=[AddedToken(token, normalized=True) for token in ("|||IP|||", "[1]", "[x 1]")])
    parts = ["|||IP|||", "[1]", "[x 1]", "|", "[", "\u0301", "\u0323", "e", " ", "\u0338", "\u20d2", "é"]
    rng = random.Random(6)
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(1000)]
    assert_exact(texts, tokenizer, session_with(tokenizer))
    tokenizer.add_tokens([AddedToken("<x>", normalized=True)])
    with pytest.raises(UnsupportedTokenizer, match="added token '<x>': normalized, and NFC may change what is found"):
        read_tokenizer(tokenizer)


def with_normalizer(normalizer: normalizers.Normalizer) -> Tokenizer:
    tokenizer = Tokenizer.from_str(bpe().to_str())
    tokenizer.normalizer = normalizer
    return tokenizer


def test_a_sequence_of_it() -> None:
    tokenizer = with_normalizer(normalizers.Sequence([normalizers.NFC(), normalizers.NFC()]))
    assert_exact(hard_texts(200, seed=5), tokenizer, session_with(tokenizer))


@pytest.mark.parametrize(
    ("normalizer", "name"),
    [
        (normalizers.NFD(), "NFD"),
        (normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]), "Lowercase"),
    ],
)
def test_other_normalizers_are_refused(normalizer: normalizers.Normalizer, name: str) -> None:
    with pytest.raises(UnsupportedTokenizer, match=f"normalizer: {name}$"):
        read_tokenizer(with_normalizer(normalizer))
