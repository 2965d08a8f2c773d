"""The whole tokenizer inside a graph against `tokenizers`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from tokenizers.normalizers import BertNormalizer

from m2v_export.text.samples import SCRIPTS, code_point_texts, fuzzed_texts, invalid_texts
from m2v_export.text.stages.normalize.in_place import IN_PLACE_FROM
from m2v_onnx.ort import onnxruntime as ort
from tests.conftest import CORPUS
from tests.text_helpers import (
    assert_exact,
    graph_ids,
    pack,
    potion_tables,
    potion_tokenizer,
    potion_vocab,
    session_of,
    split_at,
    tables_of,
    text_model,
    word_piece,
)
from tests.texts import TEXTS

UNK = 1
"""potion's unknown token."""


@pytest.fixture(scope="module")
def potion_model() -> onnx.ModelProto:
    return text_model(potion_tables(), UNK)


@pytest.fixture(scope="module")
def session(potion_model: onnx.ModelProto) -> ort.InferenceSession:
    return session_of(potion_model)


def test_every_code_point(session: ort.InferenceSession) -> None:
    """Half of them; the export checks them all."""
    assert_exact(potion_tokenizer(), list(code_point_texts())[::2], session)


def test_fuzzed_and_nasty_texts(session: ort.InferenceSession) -> None:
    texts = [*fuzzed_texts(potion_tokenizer(), 3000), *TEXTS, *CORPUS]
    assert_exact(potion_tokenizer(), texts, session)


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("".join(SCRIPTS))), max_size=5))
def test_any_text(session: ort.InferenceSession, texts: list[str]) -> None:
    assert_exact(potion_tokenizer(), texts, session)


@given(st.lists(st.binary(max_size=20), max_size=4))
@settings(max_examples=60)
def test_any_bytes(session: ort.InferenceSession, texts: list[bytes]) -> None:
    assert_exact(potion_tokenizer(), texts, session)


def test_invalid_bytes(session: ort.InferenceSession) -> None:
    assert_exact(potion_tokenizer(), invalid_texts(3000), session)


@pytest.mark.parametrize("text", [b"ab\x80cd ab", "é".encode() + b"\x80a", b"a\xbf"])
def test_bytes_that_only_follow_too_much(text: bytes) -> None:
    """All that must follow does. U+FFFD, which the usual normalizer drops, is a character here, and it is counted."""
    vocab = {
        token: i for i, token in enumerate(["[UNK]", "a", "##\ufffd", "##a", "##b", "##c", "##d", "ab", "\ufffd", "é"])
    }
    tokenizer = word_piece(vocab, BertNormalizer(clean_text=False, strip_accents=False))
    assert_exact(tokenizer, [text])
    assert_exact(tokenizer, [text], max_length=2, median_token_length=2)
    assert_exact(tokenizer, [*(["ab ab"] * 50), text])


def test_no_bytes_or_no_texts(session: ort.InferenceSession) -> None:
    for texts, offsets in ([], []), ([""], [0]), (["", "", ""], [0, 0, 0]), ([" \t", "\u0301", "\x00"], [0, 0, 0]):
        ids, starts = session.run(None, pack(texts))
        assert (ids.dtype, starts.dtype) == (np.int64, np.int64)
        assert (ids.tolist(), starts.tolist()) == ([], offsets)


def test_one_text_at_a_time(session: ort.InferenceSession) -> None:
    texts: list[str | bytes] = [*fuzzed_texts(potion_tokenizer(), 300, seed=3), *invalid_texts(300, seed=3)]
    assert [graph_ids(session, [text])[0] for text in texts] == graph_ids(session, texts)


def test_boundaries_of_texts(session: ort.InferenceSession) -> None:
    """Nothing reaches over the end of a text: no word, no character, no added token."""
    texts: list[str | bytes] = [
        "un",
        "able",
        "",
        "##able",
        "[MA",
        "SK]",
        "a",
        "\u0301b",
        "漢",
        "字",
        "한",
        "\u1100",
        "\u1161",
    ]
    texts += [b"\xe6", b"\xbc", b"\xa2", b"\xf0\x9f", b"\x98\x80", b"", b"\xc3", "©", "[MASK]", "[MASK]"]
    for i in range(len(texts)):
        assert_exact(potion_tokenizer(), texts[i:] + texts[:i], session)


RARE: list[str | bytes] = [
    *("é", "’", "“Ça”", " — ", "…", "\u00a0", "❤\ufe0f", "\u200d", "a\u0301", "한글", "ﬁ", "漢", "İ", "\x00", "\t"),
    *("[", "[x]", "[MASK]", "[UNK]", "[MAS", b"\xc3", b"\xa9", b"\xe2\x80", b"\xff", "é" * 40, "x" * 101, " " * 40),
]
"""What a batch of plain texts may hold a little of."""


@pytest.mark.parametrize("plain", [0, 3, 200, IN_PLACE_FROM // 50])
def test_rare_characters_among_plain_ones(session: ort.InferenceSession, plain: int) -> None:
    """Each in one text of a batch: at its ends, in a word, between words."""
    rng = np.random.default_rng(plain)
    words = np.array(" ".join(line for line in CORPUS if line.isascii()).split())
    for rare in RARE:
        rare_bytes = rare if isinstance(rare, bytes) else rare.encode()
        texts: list[str | bytes] = [" ".join(rng.choice(words, rng.integers(0, 30))) for _ in range(plain)]
        for text in (b"%b", b"%bplain", b"plain%b", b"unaff%bable", b"words %b apart", b"%b%b"):
            texts.insert(int(rng.integers(0, len(texts) + 1)), text.replace(b"%b", rare_bytes))
        assert plain <= 200 or len("".join(map(str, texts))) > IN_PLACE_FROM
        assert_exact(potion_tokenizer(), texts, session)


@pytest.mark.parametrize("character", ["a", "漢", "é", " ", "\x00", "\u0301", "한", "\ud7ff", "[", "\U0001f600"])
def test_a_million_characters(session: ort.InferenceSession, character: str) -> None:
    texts = ["x", character * 1_000_000, f"y {character}"]
    assert_exact(potion_tokenizer(), texts, session)


def test_long_words_without_a_limit() -> None:
    """`tokenizers` itself takes a word's length squared, so that a million characters are tried in the graph alone."""
    tokenizer = word_piece(potion_vocab(), BertNormalizer(), max_input_chars_per_word=10**7)
    session = session_of(text_model(tables_of(tokenizer), UNK, None))
    texts = ["a" * 1001, "un" * 500 + "\u4e00", "unaffable" * 90, "x" * 900 + "é", "x" * 900 + "\u1200"]
    assert_exact(tokenizer, texts, session, max_length=None)
    un = graph_ids(session, ["unun"])[0]
    assert graph_ids(session, ["un" * 500_000]) == [[un[0], *un[1:] * 499_999]]


@pytest.mark.parametrize(("max_length", "median_token_length"), [(1, 1), (3, 2), (7, 3), (512, 1), (0, 6), (None, 6)])
def test_cut_and_truncated(max_length: int | None, median_token_length: int) -> None:
    tokenizer = potion_tokenizer()
    texts: list[str | bytes] = [*fuzzed_texts(tokenizer, 200, seed=4), *invalid_texts(200, seed=4), *TEXTS[:30]]
    limits: dict[str, int | None] = {"max_length": max_length, "median_token_length": median_token_length}
    session = session_of(text_model(potion_tables(), UNK, **limits))  # type: ignore[arg-type]
    assert_exact(tokenizer, texts, session, **limits)


def test_unknown_tokens_count_before_they_are_dropped() -> None:
    """Truncation first; and without an ``unk_token_id`` they stay."""
    text = "\u1200 whale \u1200 whale \u1200 whale"
    whale = potion_vocab()["whale"]
    assert graph_ids(session_of(text_model(potion_tables(), UNK, 3)), [text]) == [[whale]]
    assert graph_ids(session_of(text_model(potion_tables(), None, 3)), [text]) == [[UNK, whale, UNK]]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(potion_model: onnx.ModelProto, session: ort.InferenceSession, threads: int) -> None:
    """One session, four threads at once, each with its own batches."""
    texts: list[str | bytes] = [*fuzzed_texts(potion_tokenizer(), 1000, seed=5), *invalid_texts(200)]
    batches = [pack(texts[i : i + 50]) for i in range(0, len(texts), 50)] * 2
    expected = [session.run(None, batch) for batch in batches]
    other = session_of(potion_model, threads)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: other.run(None, batch), batches))
    for got, due in zip(found, expected, strict=True):
        assert [x.tolist() for x in got] == [x.tolist() for x in due]


ODD_TOKENS = (
    *(
        "É",
        "##é",
        "École",
        "##e\u0301",
        "a" * 120,
        "##" + "b" * 60,
        "##",
        "[weird",
        "Hello",
        "##World",
        "a b",
        "x\x00y",
    ),
    *("한국", "##국", "日本", "\u0301", "##\u0301", "x\u0327\u0301", "\u200d", "\U0001f600", "##\U0001f600", "ﬁ", "ß"),
    *("SS", "##ß", "i̇", "İ", "\ufffd", "\u0085", "\u00a0x", "##'s", "don't", "Ꭰ", "ꭰ", "\ua000", "##\ua000"),
)
"""Tokens that a vocabulary may hold, within reach of a text or not."""


def odd_vocab() -> dict[str, int]:
    vocab = potion_vocab()
    for token in ODD_TOKENS:
        vocab.setdefault(token, len(vocab))
    return vocab


@pytest.mark.parametrize(
    ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase"),
    [
        (True, True, False, False),
        (True, True, False, True),
        (True, False, True, False),
        (False, True, None, True),
        (False, True, None, False),
        (False, False, True, True),
        (False, False, False, False),
    ],
)
def test_options_of_the_normalizer(
    clean_text: bool, handle_chinese_chars: bool, strip_accents: bool | None, lowercase: bool
) -> None:
    normalizer = BertNormalizer(
        clean_text=clean_text,
        handle_chinese_chars=handle_chinese_chars,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    tokenizer = word_piece(small(odd_vocab()), normalizer)
    assert_exact(tokenizer, [*fuzzed_texts(tokenizer, 300), *list(code_point_texts())[:400:2], *TEXTS[:40]])


def small(vocab: dict[str, int]) -> dict[str, int]:
    """A vocabulary of which tables are made fast: the special and odd tokens, and one of each 20 others."""
    tokens = [token for i, token in enumerate(vocab) if i < 5 or i % 20 == 0 or token in ODD_TOKENS or len(token) < 4]
    return {token: i for i, token in enumerate(tokens)}


def test_no_normalizer() -> None:
    tokenizer = word_piece(small(odd_vocab()), None, added=ADDED[:4])
    assert_exact(tokenizer, [*fuzzed_texts(tokenizer, 1000), *list(code_point_texts())[::20], *invalid_texts(300)])


@pytest.mark.parametrize(
    "options",
    [
        {"max_input_chars_per_word": 0},
        {"max_input_chars_per_word": 1},
        {"max_input_chars_per_word": 5},
        {"max_input_chars_per_word": 10**12},
        {"continuing_subword_prefix": ""},
        {"continuing_subword_prefix": "s"},
        {"continuing_subword_prefix": "@@"},
        {"unk_token": "the"},
    ],
    ids=str,
)
def test_options_of_the_model(options: dict[str, object]) -> None:
    vocab = small(odd_vocab()) | {"the": 100_000}
    tokenizer = word_piece(vocab, BertNormalizer(), **options)  # type: ignore[arg-type]
    assert_exact(tokenizer, [*fuzzed_texts(tokenizer, 600, seed=6), *TEXTS[:60]])


@pytest.mark.parametrize("tokens", [["[UNK]"], ["[UNK]", "a", "##a", "漢"]])
def test_tiny_vocabularies(tokens: list[str]) -> None:
    tokenizer = word_piece({token: i for i, token in enumerate(tokens)}, BertNormalizer())
    assert_exact(tokenizer, [*fuzzed_texts(tokenizer, 300), "a", "aa aaa", "a漢a", ""])


@pytest.mark.parametrize("letters", [200, 20_000])
def test_large_alphabets(letters: int) -> None:
    """More letters need more bits a code: other windows and strides."""
    rng = np.random.default_rng(letters)
    alphabet = [chr(i) for i in range(0x4E00, 0x4E00 + letters)]
    letter = np.array(alphabet)
    words = {"".join(rng.choice(letter, rng.integers(1, 20))) for _ in range(1000)}
    tokens = ["[UNK]", *sorted(words), *(f"##{word[:5]}" for word in sorted(words)), *alphabet]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = word_piece(vocab, BertNormalizer(handle_chinese_chars=False))
    token = np.array(tokens)
    texts = ["".join(rng.choice(token, rng.integers(0, 9))).replace("#", "") for _ in range(1000)]
    assert_exact(tokenizer, [*texts, *fuzzed_texts(tokenizer, 300)])


ADDED = [
    AddedToken("[NEW]", special=True, normalized=False),
    AddedToken("new york", special=False, normalized=False),
    AddedToken("<é>", special=True, normalized=False),
    AddedToken("[[[x", special=True, normalized=False),
    AddedToken("[[", special=True, normalized=False),
    AddedToken("[X]", special=True, normalized=False),
    AddedToken("<m>", special=True, normalized=False, lstrip=True, rstrip=True),
    AddedToken("Foo", special=False, normalized=True),
    AddedToken("foobar", special=False, normalized=True),
    AddedToken("oba", special=True, normalized=True),
    AddedToken("漢字", special=False, normalized=True),
    AddedToken("éa", special=False, normalized=True),
]
"""Raw ones first, then those that are found in normalized text; some overlap."""

AROUND = ("", " ", "  ", "a", "É", "\u0301", "漢", "-", "\x00", "\u0085", "\u00a0", "[", "foo", "b")


@pytest.mark.parametrize("lowercase", [True, False])
def test_added_tokens(lowercase: bool) -> None:
    tokenizer = word_piece(small(odd_vocab()), BertNormalizer(lowercase=lowercase), added=ADDED)
    contents = [token.content for token in ADDED]
    odd = [
        f"{before}{token}{after}{other}{before}"
        for token in contents
        for other in contents
        for before in AROUND
        for after in AROUND[:9]
    ]
    texts = [*odd, *fuzzed_texts(tokenizer, 2000, seed=8), "[[[[x[[[x]", "FOOBAR foobarfoo obaba fOobA", "newnew york"]
    assert_exact(tokenizer, texts)
    assert_exact(tokenizer, [text for text in texts if text.isascii()])


def test_marks_that_are_not_removed_are_sorted() -> None:
    """`tokenizers` knows no accents younger than Unicode 8, but sorts them by their classes."""
    marks = ["\U0001e944", "\U0001e94a", "\u08ca", "\u08cf", "\u0c3c", "\u1df6", "\u0301"]
    vocab = small(potion_vocab())
    for mark in marks:
        for token in (mark, f"##{mark}", f"a{mark}"):
            vocab.setdefault(token, len(vocab))
    tokenizer = word_piece(vocab, BertNormalizer())
    rng = np.random.default_rng(0)
    letters = [*"ab [#漢e", *marks, *marks, *marks]
    texts = ["".join(rng.choice(letters, rng.integers(0, 30))) for _ in range(3000)]
    assert tables_of(tokenizer).normalization.mark_classes is not None
    assert_exact(tokenizer, [*texts, "a" + "".join(marks) * 10_000])


STANDARD_OPERATORS = frozenset(
    [
        "Abs",
        "Add",
        "And",
        "BitwiseAnd",
        "BitwiseOr",
        "Cast",
        "Clip",
        "Compress",
        "Concat",
        "CumSum",
        "Div",
        "Equal",
        "Expand",
        "Gather",
        "GatherElements",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "If",
        "Less",
        "LessOrEqual",
        "Loop",
        "MatMul",
        "MatMulInteger",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "NonZero",
        "Not",
        "Or",
        "Pad",
        "Range",
        "ReduceMax",
        "ReduceSum",
        "Reshape",
        "ScatterElements",
        "Shape",
        "Size",
        "Slice",
        "Squeeze",
        "Sub",
        "TopK",
        "Unsqueeze",
        "Where",
    ]
)
"""Of ai.onnx, opset 18; all of them run in every build of onnxruntime."""

NOT_IN_WEB = frozenset({onnx.TensorProto.UINT32, onnx.TensorProto.UINT64, onnx.TensorProto.BOOL})
"""Types that NonZero, ReduceMax, CumSum and Where have no kernels for in onnxruntime-web."""


def test_operators(potion_model: onnx.ModelProto) -> None:
    tokenizer = word_piece(small(odd_vocab()), BertNormalizer(), added=ADDED)
    for model in (potion_model, text_model(tables_of(tokenizer), 0)):
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
        assert model.ir_version <= 9
        inferred = onnx.shape_inference.infer_shapes(model)
        types = {v.name: v.type.tensor_type.elem_type for v in graph_values(inferred.graph)}
        for node in graph_nodes(model.graph):
            assert node.domain == ""
            assert node.op_type in STANDARD_OPERATORS
            if node.op_type in ("NonZero", "ReduceMax", "ReduceMin", "CumSum", "Where", "ReduceSum"):
                data = node.input[1:] if node.op_type == "Where" else node.input[:1]
                assert not NOT_IN_WEB & {types.get(name) for name in data}, node.name
            if node.op_type == "Cast":
                assert types.get(node.input[0]) != onnx.TensorProto.INT16
            assert onnx.TensorProto.STRING not in {types.get(name) for name in (*node.input, *node.output)}


def graph_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += graph_nodes(attribute.g)
    return found


def graph_values(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    found = [*graph.input, *graph.output, *graph.value_info]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += graph_values(attribute.g)
    return found


def test_stages_are_seen_in_the_names(potion_model: onnx.ModelProto) -> None:
    """Two ways at the top, and the look which one; in the thorough one the stages that always run, in their order, and
    all somewhere."""

    def stages_of(graph: onnx.GraphProto) -> list[str]:
        return list(dict.fromkeys(node.name.split("/")[0] for node in graph.node if "/" in node.name))

    assert stages_of(potion_model.graph) == ["quick", "decode", "thorough"]
    (otherwise,) = (
        attribute.g
        for node in potion_model.graph.node
        if node.op_type == "If" and node.name.startswith("thorough/")
        for attribute in node.attribute
        if attribute.name == "else_branch"
    )
    stages = ["cut", "normalize", "words", "pieces", "truncate"]
    assert stages_of(otherwise) == stages
    assert {node.name.split("/")[0] for node in graph_nodes(otherwise)} == {"decode", *stages}


def test_the_same_calls_give_the_same_bytes() -> None:
    tokenizer = word_piece(small(odd_vocab()), BertNormalizer(), added=ADDED)
    models = [text_model(tables_of(tokenizer), 0).SerializeToString(deterministic=True) for _ in range(2)]
    assert models[0] == models[1]


def test_size(potion_model: onnx.ModelProto) -> None:
    """Bytes added to the file, as the graph is without a table of vectors."""
    assert potion_model.ByteSize() < 800_000


def test_worked_example(session: ort.InferenceSession) -> None:
    """The one in docs/text-graph.md."""
    ids, starts = session.run(None, pack(["Naïve unaffable 漢字!", "", "[MASK]"]))
    tokens = [[potion_tokenizer().id_to_token(i) for i in text] for text in split_at(ids, starts)]
    assert tokens == [["naive", "una", "##ffa", "##ble", "漢", "!"], [], ["[MASK]"]]
