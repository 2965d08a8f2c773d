"""Unigram inside a graph against `tokenizers`."""

import io
import json
import random
from collections.abc import Sequence
from functools import cache
from itertools import chain, product
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.graphs.builder import OUTSIDE_BYTES, Graph
from m2v_export.source.outside import Outside
from m2v_export.text import Limits, UnsupportedTokenizer, read_tokenizer
from m2v_export.text.samples import fuzzed_texts, invalid_texts
from m2v_export.text.tables import graphemes
from m2v_export.text.tables.double_array import DEAD, ROOT, build_double_array
from m2v_export.text.tables.graphemes import (
    BREAKS,
    CONSONANT,
    JOINS,
    LINKER,
    PICTURE,
    PREPENDS,
)
from m2v_export.text.unigram import UnigramTables, build_ids, read_tables
from m2v_export.text.unigram.normalizer import plan_normalizer
from m2v_onnx.ort import onnxruntime as ort
from tests.conftest import CORPUS, DATA
from tests.text_helpers import code_points_once, graph_ids, reference_ids, session_of
from tests.texts import TEXTS

BLANK = "▁"

BYTES = tuple((f"<0x{byte:02X}>", 0.0) for byte in range(256))


@cache
def minishlab() -> Tokenizer:
    """BERT's normalizer, spaces around punctuation, sentences as one; every piece has one of twenty scores."""
    return Tokenizer.from_file(str(DATA / "model2vec-rs" / "vocab-quantized" / "tokenizer.json"))


@cache
def sentencepiece_model() -> Any:
    """A small model with the map that XLM-R, T5 and others have: nmt_nfkc."""
    spm = pytest.importorskip("sentencepiece")
    protos: Any = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    written = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([*CORPUS, *TEXTS] * 3),
        model_writer=written,
        vocab_size=900,
        character_coverage=0.985,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = protos.ModelProto()
    model.ParseFromString(written.getvalue())
    return model


def unigram(*steps: Any, unk_id: int = 0, extra: tuple[tuple[str, float], ...] = (), **options: Any) -> Tokenizer:
    """:param steps: of the normalizer, behind SentencePiece's map."""
    model = sentencepiece_model()
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram([*pieces, *extra], unk_id=unk_id, **options))
    charsmap = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tokenizer.normalizer = normalizers.Sequence([charsmap, *steps]) if steps else charsmap
    return tokenizer


@cache
def of_words() -> Tokenizer:
    """As XLM-R: words are cut each for itself."""
    tokenizer = unigram()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(BLANK, "always")]
    )
    return tokenizer


@cache
def of_sentences() -> Tokenizer:
    """As potion-multilingual-128M: spaces around punctuation, and sums go on from word to word."""
    around = [normalizers.Replace(c, f" {c} ") for c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
    tokenizer = unigram(
        normalizers.Replace(Regex(" {2,}"), " "), *around, normalizers.Replace(Regex("\\s+"), " "), normalizers.Strip()
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, "always", split=False)
    tokenizer.add_special_tokens(["[PAD]", "<x>"])
    return tokenizer


@cache
def of_known_unknowns() -> Tokenizer:
    """The unknown token is an ordinary piece, as in tokenlearn-static-model."""
    pieces = [piece.piece for piece in sentencepiece_model().pieces]
    tokenizer = unigram(unk_id=pieces.index("."))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, "always")
    tokenizer.normalizer = normalizers.Sequence(
        [tokenizer.normalizer, normalizers.Replace(Regex("\\s+"), " "), normalizers.Strip()]
    )
    return tokenizer


@cache
def of_bytes() -> Tokenizer:
    """Unknown characters become bytes; of those that are in pieces a few are no piece by themselves."""
    tokenizer = unigram(extra=(*BYTES, ("a\u2603b", -8.0), ("\u2604", -9.0)), byte_fallback=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(BLANK, "always")]
    )
    tokenizer.add_special_tokens(["[PAD]"])
    return tokenizer


@cache
def of_bytes_and_sentences() -> Tokenizer:
    """Sums go on from word to word, and a blank is no piece by itself."""
    tokenizer = Tokenizer.from_str(of_bytes().to_str())
    tokenizer.normalizer = normalizers.Sequence(
        [tokenizer.normalizer, normalizers.Replace(Regex("\\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, "always", split=False)
    config = json.loads(tokenizer.to_str())
    pieces = config["model"]["vocab"]
    pieces[[piece for piece, _ in pieces].index(BLANK)][0] = "\u2605"
    return Tokenizer.from_str(json.dumps(config))


@cache
def of_xlnet() -> Tokenizer:
    """As XLNet and ALBERT: quotes of two characters are one, and accents go before SentencePiece's map."""
    tokenizer = Tokenizer.from_str(of_words().to_str())
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    tokenizer.normalizer = normalizers.Sequence(
        [*quotes, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), tokenizer.normalizer]
    )
    tokenizer.add_special_tokens(["[PAD]", "<Sep>", "\xe9`"])
    return tokenizer


def composed(*normalizer: Any) -> Tokenizer:
    """Words, with a normalizer that composes, and no map."""
    tokenizer = Tokenizer.from_str(of_words().to_str())
    tokenizer.normalizer = normalizers.Sequence([*normalizer])
    tokenizer.add_special_tokens(["[PAD]", "e\u0301>"])
    return tokenizer


@cache
def of_nfc() -> Tokenizer:
    """As mon-tokenizer: signs without width are left out, and what is left is composed."""
    return composed(
        normalizers.Replace(Regex("[\\u00AD\\u200B]"), ""),
        normalizers.Replace(Regex("\\p{Zs}"), " "),
        normalizers.NFC(),
    )


@cache
def of_nfkc() -> Tokenizer:
    return composed(normalizers.NFKC(), normalizers.Lowercase())


@cache
def of_normalized_tokens() -> Tokenizer:
    """Added tokens that are looked for in the normalized text, beside those that are not, and bytes."""
    tokenizer = Tokenizer.from_str(of_bytes().to_str())
    tokenizer.add_tokens([AddedToken(of, normalized=True) for of in ("abc", "c\u2606d", "\u212b\ufb01", "[X]")])
    tokenizer.add_special_tokens([AddedToken("<Sep>", normalized=False, lstrip=True)])
    return tokenizer


@cache
def of_single_words() -> Tokenizer:
    """As tokenlearn-static-model: a token that counts only as a word of its own, in the normalized text."""
    tokenizer = Tokenizer.from_str(of_words().to_str())
    tokenizer.add_tokens(
        [
            AddedToken("<pad>", normalized=True, single_word=True, lstrip=True, rstrip=True),
            AddedToken("d>!", normalized=True, single_word=True),
            AddedToken("\u2606b", normalized=True),
            AddedToken("<Sep>", normalized=False),
        ]
    )
    return tokenizer


TOKENIZERS = {
    "minishlab": minishlab,
    "words": of_words,
    "sentences": of_sentences,
    "known unknowns": of_known_unknowns,
    "bytes": of_bytes,
    "bytes and sentences": of_bytes_and_sentences,
    "xlnet": of_xlnet,
    "nfc": of_nfc,
    "nfkc": of_nfkc,
    "normalized tokens": of_normalized_tokens,
    "single words": of_single_words,
}


@cache
def tables(name: str) -> UnigramTables:
    tokenizer = TOKENIZERS[name]()
    return read_tables(tokenizer, json.loads(tokenizer.to_str()))


@cache
def session(name: str, max_length: int | None = None) -> ort.InferenceSession:
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(g, utf8, offsets, tables(name), Limits.of(max_length, 6, None))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return session_of(g.model({}))


def assert_exact(name: str, texts: Sequence[str | bytes], max_length: int | None = None) -> None:
    expected = reference_ids(TOKENIZERS[name](), texts, None, max_length)
    for batch in (256, 1):
        of = texts if batch > 1 else texts[:300]
        found = graph_ids(session(name, max_length), of, batch)
        wrong = [(text, got, due) for text, got, due in zip(of, found, expected, strict=False) if got != due]
        assert not wrong, f"{len(wrong)} of {len(of)} texts differ in batches of {batch}, the first: {wrong[0]!r}"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    assert_exact(name, [*TEXTS, *CORPUS, *fuzzed_texts(tokenizer, 1500), "", " ", "\t\n", "▁▁", "▁a ▁", ". ..  ..."])


def test_tokens_that_are_words_of_their_own() -> None:
    """What is beside them decides: parts of words do, known and unknown ones, other added tokens by their text."""
    parts = ["<pad>", "<pa", "d>", "d>!", "!", "\u2606b", "<Sep>", "[", "a", "7", "_", "\xe9", "e\u0301", "\u0301"]
    parts += [" ", "  ", "\u6f22", "\u9f98", "\u07c0", "\u2603", "\u20ac", "\ue000", "\U000e0100", "\u200d", "\ufdfa"]
    parts += ["\uff1cpad\uff1e", "\ufb01", "\u2460", "\u0378", "\u1885"]
    rng = random.Random(10)
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(6000)]
    texts += [f"{text}<pad>{other}" for text in parts for other in ("", *parts)]
    token = TOKENIZERS["single words"]().token_to_id("<pad>")
    found = [
        token in ids for ids in reference_ids(TOKENIZERS["single words"](), ["\u2603<pad>", "\u9f98<pad>"], None, None)
    ]
    assert found == [True, False]
    assert_exact("single words", texts)


@pytest.mark.parametrize("name", ["minishlab", "words", "bytes", "xlnet", "nfkc"])
def test_every_code_point(name: str) -> None:
    """Each in one context; the export checks all three."""
    assert_exact(name, code_points_once())


@pytest.mark.parametrize("name", TOKENIZERS)
def test_cut_and_truncated(name: str) -> None:
    texts = [*TEXTS, *CORPUS, *fuzzed_texts(TOKENIZERS[name](), 200, seed=1)]
    assert_exact(name, [*texts, *(text * 40 for text in texts[:60])], max_length=16)


@pytest.mark.parametrize("name", ["minishlab", "sentences", "bytes", "xlnet", "nfc"])
def test_bytes_that_are_no_utf8(name: str) -> None:
    assert_exact(name, list(invalid_texts(300)))


@pytest.mark.parametrize("name", ["bytes", "bytes and sentences"])
def test_unknown_characters_become_bytes(name: str) -> None:
    """Also the unknown token that a text has itself, where it is beside one, and characters of no other piece."""
    parts = ["<unk>", "\uff1cunk>", "\u2603", "\u2604", "a\u2603b", "a", "the ", " ", "\u2606", "<0x41>", "\u6f22"]
    parts += ["\U0001f9ff", "[PAD]", "\u0301", "\xaa", "\x07", "\u200d", "\u3300", "\ufdfa", "\u2581", "\u01c6"]
    rng = random.Random(4)
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(3000)]
    found = TOKENIZERS[name]().encode("\u2603<unk> <unk>").tokens
    assert [*map(found.count, ("<0xE2>", "<0x6E>", "<unk>"))] == ([1, 1, 1] if name == "bytes" else [3, 2, 0]), found
    assert_exact(name, texts)


def test_blanks_of_the_text() -> None:
    """Where the normalizer leaves them, they stand for spaces, and are not made fewer."""
    parts = ["▁", "▁▁", "a", "!", " ", "  ", "[UNK]", "whale", "漢", "é"]
    rng = random.Random(3)
    assert_exact("minishlab", ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(2000)])


def test_ties_are_settled_by_what_came_before() -> None:
    """Words with two ways of equal sums are cut otherwise behind some texts than alone."""
    words = ["ionospheric", "oscillator", "capacitance", "incompressible", "attenuation", "wahrend", "rafferty"]
    rng = random.Random(0)
    fillers = ["the", "of", "whale", "reading", "measurement", "boundary", "layer", "temperature", "zzz", "qqq"]
    texts = [" ".join([*rng.choices(fillers, k=rng.randint(0, 12)), word]) for word in words for _ in range(60)]
    found = {tuple(ids[-3:]) for ids in reference_ids(minishlab(), texts, None, None)}
    assert len(found) > len(words), "no word was cut in two ways: the test has lost its point"
    assert_exact("minishlab", [*texts, *(" ".join(rng.choices(words, k=7)) for _ in range(60))])


GRAPHEMES = (
    "aeoAN\u00aa\u00b2\u00a9\u2122\u2139\ufb01\uff21\u0958\u0915\u0627\u06a9\u1100\u1161\uac00",
    "\u0300\u0301\u0308\u0327\u0338\u0345\u05b0\u064b\u0654\u093c\u094d\u0e31\u0e34\u20dd\ufe0f\uff9e\u3099\U0001d165\U000e0100",
    "\u200d\u200c\u0600\u06dd\u00ad\u200b\r\n\u2764\U0001f600\U0001f1e9 \u00a0<",
)


@pytest.mark.parametrize("name", ["xlnet", "nfc", "nfkc"])
def test_what_is_done_before(name: str) -> None:
    """Strings, accents and composition beside added tokens and text ends, and what an old list of accents leaves."""
    parts = [
        "`",
        "``",
        "'",
        "''",
        "'s",
        '"',
        "A",
        "e",
        "\u0301",
        "\u0338",
        "\u0323",
        "\xe9",
        "\u1e69",
        "\uff21",
        "\uff1cSep>",
    ]
    parts += [
        "[PAD]",
        "<Sep>",
        "\xe9`",
        "e\u0301>",
        "\ufffd",
        "\u200c",
        "\u07fd",
        "\u0897",
        " ",
        "\ufb01",
        "\uac01",
        "\u1100",
    ]
    parts += ["\u1161", "\u11a8", "\xad", "\u200b", "\u3000", "\ufdfa", "the", "\u017f", "\u0344", "\u2126", "\u03a3"]
    rng = random.Random(6)
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 10))) for _ in range(5000)]
    assert_exact(name, [*texts, "\ufffd\u07fd", "\ufffd\u0301\u07fd", "\u200c\u07fda", "\xad", "", "\u0301"])


@pytest.mark.parametrize("name", ["words", "sentences"])
def test_grapheme_clusters(name: str) -> None:
    """Short ones are looked up as a whole, and what has a rule takes away what joins it."""
    rng = random.Random(5)
    texts = ["".join(rng.choice(rng.choice(GRAPHEMES)) for _ in range(rng.randint(1, 12))) for _ in range(8000)]
    assert_exact(
        name, [*texts, "\u0915\u094d\u0958\u0301", "\u2764\ufe0f\u200d\u2122\u0300", "[PAD]\u0301\u00aa\u0301"]
    )


def test_what_characters_do_to_their_neighbours() -> None:
    """The Unicode Standard's own examples, as the tokenizer tells them."""
    clusters = graphemes.read_clusters(json.loads(of_words().to_str())["normalizer"])
    for bit, those, others in (
        (JOINS, "\u0301\u200d\u0903\ufe0f\U0001f3fb", "a\u0915\u0600 "),
        (BREAKS, "\r\n\x00\u200b\u2028", "a \u0301\u200d"),
        (PREPENDS, "\u0600\u06dd\u070f", "a\u0301\r"),
        (PICTURE, "\u00a9\u2764\U0001f600", "a#1\u0301"),
        (CONSONANT, "\u0915\u0995", "a\u094d"),
        (LINKER, "\u094d\u09cd", "\u0301\u0915"),
    ):
        assert all(clusters.marks[ord(c)] & bit for c in those), (bit, those)
        assert not any(clusters.marks[ord(c)] & bit for c in others), (bit, others)
    assert {"A\u0300", "u\u0308\u0304"} <= {*clusters.several}


@pytest.mark.parametrize("all_ways", [False, True])
def test_a_double_array_finds_its_pieces_and_no_others(all_ways: bool) -> None:
    """:param all_ways: no node goes on in one way alone, so that none fills a gap between the others."""
    rng = random.Random(1)
    if all_ways:
        pieces = {*product(range(1, 4), repeat=7)}
    else:
        pieces = {tuple(rng.choices(range(1, 60), weights=range(60, 1, -1), k=rng.randint(1, 7))) for _ in range(5000)}
    trie = build_double_array(sorted(pieces), 60)
    nodes = dict(zip(sorted(pieces), trie.nodes.tolist(), strict=True))
    prefixes = {piece[:end] for piece in pieces for end in range(len(piece) + 1)}
    for path in chain(pieces, (tuple(rng.choices(range(60), k=rng.randint(1, 7))) for _ in range(5000))):
        node = ROOT
        for symbol in path:
            place = int(trie.bases[node]) + symbol
            node = place if trie.checks[place] == node else DEAD
        assert (node != DEAD) == (path in prefixes)
        assert path not in nodes or nodes[path] == node


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"unk_id": None}}, "no unk_id"),
        ({"model": {"byte_fallback": True}}, "byte_fallback without the token <0x00>"),
        (
            {"model": {"byte_fallback": True, "vocab": [["x", 0.0], ["▁", -1.0], *BYTES], "unk_id": 0}},
            r"spaces around U\+",
        ),
        ({"normalizer": {"type": "NFD"}}, "changes the place of marks such as U\\+"),
        ({"normalizer": {"type": "Nmt"}}, "normalizer: Nmt"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": "[0-9]+"}, "content": ""}}, r"Replace of '\[0-9\]\+'"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer: expected Metaspace"),
        ({"pre_tokenizer": {"prepend_scheme": "never"}}, "put ▁ before each word"),
        ({"normalizer": None}, "it leaves spaces"),
        ({"model": {"vocab": [["x", 0.0], ["▁a▁b", -1.0]]}}, "inside"),
        ({"model": {"vocab": [["x", 0.0], ["a", -1.0]]}}, "no piece has"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    config = json.loads(minishlab().to_str())
    for part, value in change.items():
        config[part] = {**config[part], **value} if value and "type" not in value else value
    with pytest.raises(UnsupportedTokenizer, match=message):
        read_tokenizer(Tokenizer.from_str(json.dumps(config)))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([normalizers.Replace("ab", "")], "Replace of 'ab' by what"),
        ([normalizers.Replace("ab", "a")], "Replace of 'ab', which others"),
        ([normalizers.Replace("ab", "c"), normalizers.Replace("bb", "d")], "Replace of 'ab', which others"),
        ([normalizers.NFC(), normalizers.NFC()], "NFC behind NFC"),
        ([normalizers.Lowercase(), normalizers.NFKC()], "ASCII changed before NFKC"),
        ([normalizers.Strip(), normalizers.NFC()], "Strip before NFC"),
        ([normalizers.NFC(), normalizers.Replace("ab", "c")], "Replace of 'ab'"),
        (
            [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), BLANK)],
            r"Replace of ' \{2,\}' by another text .*U\+0085",
        ),
    ],
)
def test_steps_that_cannot_be_exact_are_refused(steps: list[Any], message: str) -> None:
    tokenizer = Tokenizer(models.Unigram([("▁", 0.0)], unk_id=0))
    tokenizer.normalizer = normalizers.Sequence(steps)
    with pytest.raises(UnsupportedTokenizer, match=message):
        plan_normalizer(json.loads(tokenizer.to_str())["normalizer"])


def test_capitals_and_their_accents_in_one_rule_are_refused() -> None:
    """What is written anew is not ASCII: the rule of A and an accent would have to be found by ``a``."""
    tokenizer = Tokenizer.from_str(of_words().to_str())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), tokenizer.normalizer])
    with pytest.raises(UnsupportedTokenizer, match="Precompiled with 'A"):
        read_tokenizer(tokenizer)


def test_unknown_tokens_in_a_row_that_are_a_piece_are_refused() -> None:
    """`tokenizers` would look them up: two dots become the piece of two dots, where one and one are the better way."""
    config = json.loads(of_known_unknowns().to_str())
    config["model"]["vocab"].append(["..", -1e4])
    tokenizer = Tokenizer.from_str(json.dumps(config))
    assert [tokenizer.id_to_token(i) for i in tokenizer.encode("a..b").ids][1:2] == [".."]
    with pytest.raises(UnsupportedTokenizer, match=r"may be the piece '\.\.'"):
        read_tokenizer(tokenizer)


def test_added_tokens_in_normalized_text() -> None:
    """What becomes them is found, in other clusters too; what touches a token that is not normalized is not."""
    parts = [
        "abc",
        "a",
        "b",
        "c",
        "\u2606",
        "d",
        "\uff41",
        "\u212b",
        "\xc5",
        "fi",
        "\ufb01",
        "\u0301",
        "[X]",
        "[",
        "X]",
    ]
    parts += ["<Sep>", "<", "[PAD]", " ", "\u00a0", "\u07fd", "\u3000", "\u2603", "\u24d1", "e"]
    rng = random.Random(8)
    assert_exact("normalized tokens", ["".join(rng.choices(parts, k=rng.randint(1, 10))) for _ in range(5000)])


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("sentences", "abc", {}, "normalized, where a space before it is a piece"),
        ("words", "a b", {}, "it holds white space"),
        ("words", "\xad\u200b", {}, "it holds white space or nothing"),
        ("words", "abc", {"single_word": True, "normalized": False}, "single_word, looked for in the text before it"),
        ("bytes", "abc", {"single_word": True}, "single_word, where the normalizer is followed by byte fallback"),
        ("words", "abc", {"rstrip": True, "normalized": False}, "added token 'abc': rstrip before Precompiled"),
        ("normalized tokens", "\uff41bc", {}, "the same text once they are normalized"),
    ],
)
def test_added_tokens_that_are_refused(name: str, content: str, options: dict[str, bool], message: str) -> None:
    tokenizer = Tokenizer.from_str(TOKENIZERS[name]().to_str())
    tokenizer.add_tokens([AddedToken(content, **({"normalized": True} | options))])
    with pytest.raises(UnsupportedTokenizer, match=message):
        read_tokenizer(tokenizer)


def test_marks_in_pieces_that_change_their_places_are_refused() -> None:
    """BertNormalizer sorts marks that it does not know as accents."""
    config = json.loads(minishlab().to_str())
    config["model"]["vocab"].append(["a\u302e", -1.0])
    with pytest.raises(UnsupportedTokenizer, match=r"place of marks, which are in pieces, such as U\+302E"):
        read_tokenizer(Tokenizer.from_str(json.dumps(config)))


def test_white_space_that_is_stripped_and_ends_no_word_is_refused() -> None:
    tokenizer = Tokenizer.from_str(of_sentences().to_str())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    with pytest.raises(UnsupportedTokenizer, match=r"it strips U\+0009, at which no word ends"):
        read_tokenizer(tokenizer)


def test_large_tables_are_outside_the_graph() -> None:
    """There onnxruntime maps them, so that processes share them; small ones need no second file."""
    outside = Outside()
    g = Graph(outside)
    large, small = g.constant(np.arange(OUTSIDE_BYTES // 4, dtype=np.int32), "large"), g.constant(np.arange(8), "small")
    assert g.constant(np.arange(OUTSIDE_BYTES // 4, dtype=np.int32)).name == large.name
    g.output(g.op("Gather", large, small), "y")
    model = g.model({})
    (name,) = outside.tensors
    assert outside.tensors[name].nbytes == OUTSIDE_BYTES
    (stored,) = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {e.key: e.value for e in stored.external_data}["location"] == "model.onnx_data"
    assert model.ByteSize() < 10_000
