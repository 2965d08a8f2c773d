"""Byte-level BPE inside a graph against `tokenizers`."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from m2v_export.graphs.builder import Graph, Value
from m2v_export.text import Limits, UnsupportedTokenizer, read_tokenizer
from m2v_export.text.bpe import BpeTables, build_ids, read_tables
from m2v_export.text.bpe.characters import read_characters
from m2v_export.text.bpe.expressions import DEEPSEEK, EXPRESSIONS, GPT2
from m2v_export.text.bpe.few import MOST_ROUNDS
from m2v_export.text.bpe.merges import last_merges
from m2v_export.text.bpe.tokenize import begins_of
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_export.text.stages.cut import decode_and_cut
from m2v_export.text.tables.probe import SURROGATES
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_graph import pack
from tests.conftest import CORPUS
from tests.text_helpers import graph_ids, reference_ids, run_on_texts, session_of
from tests.texts import TEXTS

_, QWEN, LLAMA, QWEN35, GPT4O, TEKKEN = EXPRESSIONS
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def byte_level(*expressions: str) -> pre_tokenizers.PreTokenizer:
    if expressions == (GPT2,):
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    splits = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in expressions]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def trained(*expressions: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = byte_level(*expressions)
    trainer = trainers.BpeTrainer(
        vocab_size=1200, initial_alphabet=ALPHABET, special_tokens=["<|end|>", "<|x"], show_progress=False
    )
    tokenizer.train_from_iterator([*CORPUS, *TEXTS] * 2, trainer)
    return tokenizer


def with_model(tokenizer: Tokenizer, **changes: Any) -> Tokenizer:
    config = json.loads(tokenizer.to_str())
    config["model"] |= changes
    return Tokenizer.from_str(json.dumps(config))


@cache
def like_gpt2() -> Tokenizer:
    return trained(GPT2)


@cache
def like_qwen() -> Tokenizer:
    return trained(QWEN)


@cache
def like_llama() -> Tokenizer:
    """Made of a vocabulary alone, as tiktoken's are: every way to put a token together is a merge, by the token's rank.
    Some tokens cannot be put together, and are words of their own, one of them a long one.
    """
    tokenizer = trained(LLAMA)
    vocab: dict[str, int] = json.loads(tokenizer.to_str())["model"]["vocab"]
    vocab |= {token: len(vocab) + i for i, token in enumerate(("Ġwhalezz", "qqxq", "ĠMoby-Dickish", "Ġ" + "zq" * 12))}
    pairs = [
        [token[:i], token[i:]]
        for token in sorted(vocab, key=lambda token: vocab[token])
        for i in range(1, len(token))
        if token[:i] in vocab and token[i:] in vocab and "<|" not in token
    ]
    return with_model(tokenizer, vocab=vocab, merges=pairs, ignore_merges=True)


@cache
def like_roberta() -> Tokenizer:
    """A blank is put before each text, and behind each added token."""
    tokenizer = trained(GPT2)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


@cache
def like_modernbert() -> Tokenizer:
    """NFC; added tokens in the text as it is, some of which take away white space, and others in the composed text."""
    tokenizer = trained(GPT2)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens(
        [AddedToken("[MASK]", lstrip=True, normalized=False), AddedToken("[R]", rstrip=True, normalized=False)]
    )
    runs = [AddedToken(" " * n, normalized=True) for n in range(2, 25)]
    tokenizer.add_tokens([*runs, *(AddedToken(of, normalized=True) for of in ("|||IP|||", "[unused1]", "[["))])
    return tokenizer


@cache
def like_qwen35() -> Tokenizer:
    """Marks are letters."""
    return trained(QWEN35)


@cache
def like_deepseek() -> Tokenizer:
    """Three expressions, one after the other."""
    return trained(*DEEPSEEK)


@cache
def like_gpt4o() -> Tokenizer:
    """Cases matter."""
    return trained(GPT4O)


@cache
def like_mistral() -> Tokenizer:
    """Cases matter, and there are no contractions."""
    return trained(TEKKEN)


@cache
def like_claude() -> Tokenizer:
    """NFKC, and here a blank before each text, too."""
    tokenizer = trained(GPT2)
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


TOKENIZERS = {
    "GPT-2": like_gpt2,
    "Qwen": like_qwen,
    "Llama 3": like_llama,
    "RoBERTa": like_roberta,
    "ModernBERT": like_modernbert,
    "Qwen 3.5": like_qwen35,
    "DeepSeek": like_deepseek,
    "GPT-4o": like_gpt4o,
    "Tekken": like_mistral,
    "Claude": like_claude,
}


@cache
def tables(name: str) -> BpeTables:
    tokenizer = TOKENIZERS[name]()
    return read_tables(tokenizer, json.loads(tokenizer.to_str()))


def session_with(
    its: BpeTables, max_length: int | None = None, unk_token_id: int | None = None
) -> ort.InferenceSession:
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(g, utf8, offsets, its, Limits.of(max_length, 6, unk_token_id))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return session_of(g.model({}))


session = cache(lambda name, max_length=None: session_with(tables(name), max_length))


def assert_exact(name: str, texts: Sequence[str | bytes], max_length: int | None = None) -> None:
    assert_same(TOKENIZERS[name](), session(name, max_length), texts, max_length)


def assert_same(
    tokenizer: Tokenizer, graph: ort.InferenceSession, texts: Sequence[str | bytes], max_length: int | None = None
) -> None:
    expected = reference_ids(tokenizer, texts, None, max_length)
    for batch in (256, 1):
        of = texts if batch > 1 else texts[:200]
        found = graph_ids(graph, of, batch)
        wrong = [(text, got, due) for text, got, due in zip(of, found, expected, strict=False) if got != due]
        assert not wrong, f"{len(wrong)} of {len(of)} texts differ in batches of {batch}, the first: {wrong[0]!r}"


@pytest.mark.parametrize("name", TOKENIZERS)
def test_texts(name: str) -> None:
    assert_exact(
        name, [*TEXTS, *CORPUS, *fuzzed_texts(TOKENIZERS[name](), 1500), "", " ", "\t\n", "<|end|>", "<|x <|end"]
    )


@pytest.mark.parametrize("name", ["GPT-2", "Llama 3", "Qwen 3.5", "DeepSeek", "GPT-4o", "Tekken", "Claude"])
def test_every_code_point(name: str) -> None:
    """A third of them; the export checks them all."""
    assert_exact(name, list(code_point_texts())[::3])


@pytest.mark.parametrize("name", TOKENIZERS)
def test_where_words_begin(name: str) -> None:
    """What the regular expressions tell apart, in every order."""
    parts = ["'", "'s", "'S", "'ll", "'Re", "'ſ", "'x", "a", "ve", "é", "漢", "1", "23", "4567", "²", "!", "?!", "_"]
    parts += [" ", "  ", "\t", "\u00a0", "\n", "\r\n", "\u0085", "\u2028", "<|end|>", "<|x", "\u0301", "\u0903", "😀"]
    rng = random.Random(4)
    assert_exact(name, ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(6000)])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "DeepSeek",
            ["!", "$", "«", "\\", "a", "Z", "é", "\u0301", "\x00", "\u200b", " ", "\n", "漢", "・", "\u3040", "12"],
        ),
        ("GPT-4o", ["\n", "\r", "/", "!", "\u0301", " ", "a"]),
        ("GPT-4o", ["'", "s", "'s", "x", "'ll", "'S", "'ſ", "\u0301", "E"]),
        ("GPT-4o", ["a", "A", "漢", "\u0301", "ʰ", "B", "b", "ǅ", " ", "!"]),
    ],
)
def test_what_one_expression_tells_apart(name: str, parts: list[str]) -> None:
    """Where words begin in the graph, against the pre-tokenizer itself, of short parts in every order."""
    tokenizer = TOKENIZERS[name]()
    rng = random.Random(7)
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 14))) for _ in range(5000)]

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        symbols, offsets = decode_and_cut(g, utf8, offsets, None)
        text = read_characters(g, symbols, offsets, tables(name))
        return [begins_of(g, text, tables(name)), text.starts]

    marks, starts = run_on_texts(build, texts)
    for text, start in zip(texts, starts.tolist(), strict=True):
        due = [begin for _, (begin, _) in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
        assert np.flatnonzero(marks[start : start + len(text)]).tolist() == due, repr(text)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_cut_and_truncated(name: str) -> None:
    texts = [*TEXTS, *CORPUS, *fuzzed_texts(TOKENIZERS[name](), 200, seed=1)]
    assert_exact(name, [*texts, *(text * 40 for text in texts[:60])], max_length=16)


@pytest.mark.parametrize("name", ["Qwen", "RoBERTa", "ModernBERT"])
def test_bytes_that_are_no_utf8(name: str) -> None:
    assert_exact(name, list(invalid_texts(300)))


@pytest.mark.parametrize("seed", range(8))
def test_merges_in_any_order(seed: int) -> None:
    """Merges that no training makes: several for one token, some of lower ranks than those that make their parts."""
    rng = random.Random(seed)
    letters = "abcd"[: 2 + seed % 3]
    tokens = {"".join(rng.choices(letters, k=rng.randint(2, 6))) for _ in range(40)}
    vocab = {token: i for i, token in enumerate([*ALPHABET, *sorted(tokens)])}
    pairs = [(token[:i], token[i:]) for token in tokens for i in range(1, len(token))]
    pairs = [pair for pair in pairs if pair[0] in vocab and pair[1] in vocab]
    rng.shuffle(pairs)
    tokenizer = Tokenizer(models.BPE(vocab, pairs))
    tokenizer.pre_tokenizer = byte_level(GPT2)
    words = ["".join(rng.choices(letters, k=rng.choice((3, 8, 20, 60)))) for _ in range(1500)]
    its = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    assert_same(tokenizer, session_with(its), words)


def test_long_words() -> None:
    """Words as long as a page, and many of one letter, beside short ones."""
    rng = random.Random(2)
    words = ["a" * n for n in (2, 15, 16, 17, 100, 3000)] + ["ab" * 500, "漢字" * 300, "é" * 257]
    words += ["".join(rng.choices("etaoinshrdlu", k=2000)) for _ in range(5)]
    assert_exact("GPT-2", [*words, " ".join(words), *CORPUS[:50]])


def made_of(letters: str, rng: random.Random) -> Tokenizer:
    """Merges as training makes them: each of tokens that are there already, so that ranks tell what comes first."""
    vocab = {token: i for i, token in enumerate(ALPHABET)}
    tokens, merges = [*letters], list[tuple[str, str]]()
    while len(merges) < 30:
        pair = rng.choice(tokens), rng.choice(tokens)
        if pair[0] + pair[1] not in vocab:
            vocab[pair[0] + pair[1]] = len(vocab)
            tokens.append(pair[0] + pair[1])
            merges.append(pair)
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = byte_level(GPT2)
    return tokenizer


@pytest.mark.parametrize("seed", range(8))
def test_runs_of_tokens_beside_their_likes(seed: int) -> None:
    """All pairs of the lowest rank at once, where pairs overlap and where they do not."""
    rng = random.Random(seed)
    letters = "abc"[: 1 + seed % 3]
    tokenizer = made_of(letters, rng)
    its = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    assert not its.merges.early
    words = ["".join(rng.choice(letters) * rng.randint(1, 30) for _ in range(rng.randint(1, 8))) for _ in range(600)]
    # Batches of more and of fewer symbols than merge_few takes.
    for batch in (1, 256):
        session = session_with(its)
        assert graph_ids(session, words[: 60 * batch], batch) == reference_ids(tokenizer, words[: 60 * batch], None)


@pytest.mark.parametrize("word", ["b" + "a" * 1500, "ab" * 750, "a" * 1500, ("b" + "a" * 29) * 50])
def test_runs_take_few_rounds(tmp_path: Path, word: str) -> None:
    """Not one for each pair: a long one would take a tenth of a second."""
    vocab = {token: i for i, token in enumerate([*ALPHABET, "ba", "aa", "aaaa"])}
    tokenizer = Tokenizer(models.BPE(vocab, [("b", "a"), ("a", "a"), ("aa", "aa")]))
    tokenizer.pre_tokenizer = byte_level(GPT2)
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    its = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    g.output(build_ids(g, utf8, offsets, its, Limits.of(None, 6, None))[0], "input_ids")
    options = ort.SessionOptions()
    options.enable_mem_pattern, options.enable_profiling = False, True
    options.profile_file_prefix = str(tmp_path / "profile")
    session = ort.InferenceSession(g.model({}).SerializeToString(), options, providers=["CPUExecutionProvider"])
    (ids,) = session.run(None, dict(zip(("utf8", "offsets"), pack([word]), strict=True)))
    assert ids.tolist() == tokenizer.encode(word).ids
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    rounds = Counter(event["name"] for event in events if event["name"].startswith("merges/"))
    assert max(rounds.values()) < 3 * MOST_ROUNDS


def test_no_texts_and_the_unknown_token() -> None:
    for texts in ([], [""], ["", "", ""]):
        assert graph_ids(session("GPT-2"), texts) == [[] for _ in texts]
    left_out = like_gpt2().token_to_id("Ġthe")
    graph = session_with(tables("GPT-2"), unk_token_id=left_out)
    assert graph_ids(graph, CORPUS) == reference_ids(like_gpt2(), CORPUS, left_out, None)


def test_added_tokens_and_white_space() -> None:
    """Runs of blanks that are tokens, and tokens that take away white space of every kind, in every order."""
    parts = [
        "[MASK]",
        "[R]",
        "<|end|>",
        "[unused1]",
        "[[",
        "[",
        "|||IP|||",
        "a",
        "é",
        "e\u0301",
        "漢",
        "]",
        "\u0338",
        "1",
    ]
    parts += [" ", "  ", "   ", " " * 25, "\t", "\n", "\r\n", "\x1f", "\u0085", "\u00a0", "\u2003", "\u200b", "\u3000"]
    rng = random.Random(5)
    assert_exact("ModernBERT", ["".join(rng.choices(parts, k=rng.randint(1, 12))) for _ in range(6000)])


def test_every_code_point_beside_tokens_that_strip() -> None:
    """Which characters are white space, the tokenizer says."""
    characters = [chr(i) for i in range(0x110000) if i not in SURROGATES][::7]
    characters += [chr(i) for i in range(0x3100)]
    texts = ["".join(f"a{c}[MASK]b[R]{c}" for c in characters[i : i + 50]) for i in range(0, len(characters), 50)]
    assert_exact("ModernBERT", texts)


def test_merges_that_never_happen_are_left_out() -> None:
    """Of the ways to put a token together one is the last when it is tokenized alone."""
    vocab = {token: i for i, token in enumerate(("a", "b", "c", "ab", "bc", "abc", "cab"))}
    last = last_merges(vocab, [("a", "b"), ("b", "c"), ("a", "bc"), ("ab", "c"), ("ca", "b"), ("c", "ab")])
    assert last == {"ab": (0, ("a", "b")), "bc": (1, ("b", "c")), "abc": (3, ("ab", "c")), "cab": (5, ("c", "ab"))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"dropout": 0.1}}, "model: dropout"),
        ({"model": {"end_of_word_suffix": "</w>"}}, "model: end_of_word_suffix"),
        ({"normalizer": {"type": "NFKD"}}, "normalizer: NFKD"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "expected ByteLevel or Split and ByteLevel, got Whitespace"),
        ({"pre_tokenizer": {"use_regex": False}}, "expected ByteLevel or Split and ByteLevel"),
    ],
)
def test_what_cannot_be_exact_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    config = json.loads(like_gpt2().to_str())
    for part, value in change.items():
        config[part] = {**config[part], **value} if "type" not in value else value
    with pytest.raises(UnsupportedTokenizer, match=message):
        read_tokenizer(Tokenizer.from_str(json.dumps(config)))


def test_another_expression_is_refused() -> None:
    tokenizer = Tokenizer.from_str(like_gpt2().to_str())
    tokenizer.pre_tokenizer = byte_level(r"\p{L}+|\p{N}+")
    with pytest.raises(UnsupportedTokenizer, match=r"pre_tokenizer: Split by '\\\\p\{L\}\+"):
        read_tokenizer(tokenizer)


@pytest.mark.parametrize("change", [{"behavior": "Removed"}, {"pattern": {"Regex": "[0-9]"}}])
def test_expressions_that_are_nearly_deepseeks_are_refused(change: dict[str, Any]) -> None:
    config = json.loads(like_deepseek().to_str())
    config["pre_tokenizer"]["pretokenizers"][1] |= change
    with pytest.raises(UnsupportedTokenizer, match="got Split and Split and Split and ByteLevel"):
        read_tokenizer(Tokenizer.from_str(json.dumps(config)))


def test_a_vocabulary_without_a_byte_is_refused() -> None:
    vocab = json.loads(like_gpt2().to_str())["model"]["vocab"]
    del vocab["Ģ"]
    tokenizer = with_model(like_gpt2(), vocab=vocab, merges=[])
    with pytest.raises(UnsupportedTokenizer, match="model: no token for the byte 0x80"):
        read_tokenizer(tokenizer)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("abc", {"single_word": True}, "added token 'abc': single_word"),
        ("abc", {"normalized": True, "lstrip": True}, "added token 'abc': lstrip of a normalized token"),
        ("abc", {"normalized": True, "rstrip": True}, "added token 'abc': rstrip of a normalized token"),
        ("<|end|>", {"normalized": True}, "added token '<|end|>': normalized, and NFC may change"),
        (" x", {"normalized": False}, r"added token '\[R\]': rstrip beside a token that begins with white space"),
    ],
)
def test_added_tokens_that_are_refused(content: str, options: dict[str, bool], message: str) -> None:
    tokenizer = Tokenizer.from_str(like_modernbert().to_str().replace('"<|end|>"', '"<end>"'))
    tokenizer.add_tokens([AddedToken(content, **options)])
    with pytest.raises(UnsupportedTokenizer, match=message.replace("|", r"\|")):
        read_tokenizer(tokenizer)


def test_normalized_tokens_that_others_may_become_are_refused() -> None:
    """Of wide brackets NFKC makes others."""
    tokenizer = Tokenizer.from_str(like_claude().to_str())
    tokenizer.add_tokens([AddedToken("[[", normalized=True)])
    with pytest.raises(UnsupportedTokenizer, match=": normalized, and NFKC"):
        read_tokenizer(tokenizer)


def test_what_is_made_of_characters() -> None:
    """Compatible characters beside added tokens, marks and the begin of a text, which a blank may be made of."""
    parts = [
        "\u00a0",
        "\u3000",
        "\ufb01",
        "\ufdfa",
        "\u1e9b\u0323",
        "\u0344",
        "\u2126",
        "\uac01",
        "\u1100",
        "\u1161",
        "\u3131",
    ]
    parts += ["<|end|>", "\uff1c|end|>", "a", "\u0301", "\u0338", " ", "\u00b4", "\u2460", "\u200b", "'s", "\u2a74"]
    rng = random.Random(6)
    assert_exact("Claude", ["".join(rng.choices(parts, k=rng.randint(1, 10))) for _ in range(4000)])


def test_an_expression_that_removes_what_is_between_is_the_same() -> None:
    """Its matches lie end to end."""
    tokenizer = Tokenizer.from_str(like_llama().to_str())
    split = pre_tokenizers.Split(Regex(LLAMA), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    its = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    assert_same(tokenizer, session_with(its), [*TEXTS, *CORPUS[:200], *fuzzed_texts(tokenizer, 300)])
