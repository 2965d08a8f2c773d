"""The same token ids and vectors as model2vec, over every kind of model and of text."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model2vec import StaticModel

from m2v_onnx import OnnxStaticModel
from m2v_onnx.ort import onnxruntime
from tests.conftest import ALL_MODELS, CORPUS, POTION_BUNDLE, Pair
from tests.test_graphs import flat
from tests.text_helpers import pack
from tests.texts import CODE_POINTS, TEXTS

Pairs = Callable[[str], Pair]

FLOAT32_BOUND = 1e-6
FLOAT16_BOUND = 1e-3
"""model2vec rounds its result to float16 where the table is."""


def assert_same(model: OnnxStaticModel, reference: StaticModel, texts: list[str], **options: object) -> None:
    assert model.tokenize(texts) == reference.tokenize(texts)
    found, expected = model.encode(texts, **options), reference.encode(texts, **options)  # type: ignore[arg-type]
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    bound = FLOAT16_BOUND if expected.dtype == np.float16 else FLOAT32_BOUND
    bound *= max(1.0, float(np.abs(expected).max(initial=0)))  # int8 tables have values up to 127
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("name", ALL_MODELS)
def test_nasty_and_long_texts(name: str, pairs: Pairs) -> None:
    pair = pairs(name)
    assert_same(pair.model, pair.reference, [*TEXTS, *CORPUS])


@pytest.mark.parametrize("name", ALL_MODELS)
@pytest.mark.parametrize("max_length", [1, 7, 100, 2000, None])
def test_max_length_by_call(name: str, max_length: int | None, pairs: Pairs) -> None:
    pair = pairs(name)
    texts = ["word " * 1500, "The whale, " * 100, *CORPUS[:5], ""]
    found = pair.model.encode(texts, max_length=max_length)
    expected = pair.reference.encode(texts, max_length=max_length)
    bound = FLOAT16_BOUND if expected.dtype == np.float16 else FLOAT32_BOUND
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", ALL_MODELS)
@pytest.mark.parametrize("normalize", [True, False])
def test_normalize_by_call(name: str, normalize: bool, pairs: Pairs) -> None:
    pair = pairs(name)
    assert_same(pair.model, pair.reference, CORPUS, normalize=normalize)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("graph", ["text", "bag"])
@pytest.mark.parametrize("tokens", [1, 3, 16, 17, 90, 400])
def test_sums_are_the_same_to_the_last_bit(
    tokens: int, graph: str, threads: int, potion: OnnxStaticModel, potion_reference: StaticModel
) -> None:
    """Of one text, and of batches that go in one grid, in blocks, and in blocks of blocks."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = POTION_BUNDLE / "onnx" / f"{graph}.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(tokens)
    words = np.array(" ".join(CORPUS).split())  # of a list numpy would make one for each choice
    lengths = rng.integers(tokens // 2, tokens + 1, 30_000 // tokens)
    texts = [" ".join(rng.choice(words, length)) for length in lengths]
    for some in (texts[:1], texts[:5], texts[: 2000 // tokens + 1], texts[: 6000 // tokens + 1], texts):
        feeds = pack(some) if graph == "text" else flat(potion.tokenize(some))
        (found,) = session.run(["mean_embedding"], feeds)
        np.testing.assert_array_equal(found, potion_reference.encode(some, normalize=False))


def test_long_texts_of_one_word_are_the_same_to_the_last_bit(
    potion: OnnxStaticModel, potion_reference: StaticModel
) -> None:
    """model2vec's rounding grows with the length; a better sum would be 1.5e-6 away."""
    texts = [f"{word} " * 600 for word in ("whale", "the", "7", "über")]
    found, expected = potion.encode(texts, normalize=False), potion_reference.encode(texts, normalize=False)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["potion", "rs-vocab-quantized", "made-unigram", "made-bpe"])
def test_every_code_point(name: str, pairs: Pairs) -> None:
    """Alone and inside words, 64 code points a text, few enough that none is cut; vectors of some of the texts. Of all
    models but potion a third of the texts: the tests of each kind of tokenizer have the others."""
    pair = pairs(name)
    step = 64
    texts = [
        " ".join(f"a{chr(i)}b {chr(i)}" for i in CODE_POINTS[begin : begin + step])
        for begin in range(0, len(CODE_POINTS), step)
    ]
    texts = texts[:: 1 if name == "potion" else 3]
    assert pair.model.tokenize(texts) == pair.reference.tokenize(texts)
    some = texts[:200] + texts[200::25]
    np.testing.assert_allclose(pair.model.encode(some), pair.reference.encode(some), rtol=0, atol=FLOAT32_BOUND)


characters = st.characters(exclude_categories=["Cs"])
words = st.sampled_from(
    ["whale", "##s", "[UNK]", "[CLS]", "the", "İ", "ﬁ", "e\u0301", "한국", "漢", "\x00", "\ufffd", "x" * 101]
)
texts = st.lists(st.one_of(st.text(characters, max_size=30), words), max_size=30).map(" ".join)


@pytest.mark.parametrize("name", ["potion", "rs-vocab-quantized", "rs-float16", "made-wordlevel", "made-weighted"])
def test_fuzzed_texts(name: str, pairs: Pairs) -> None:
    pair = pairs(name)

    @given(st.lists(texts, min_size=1, max_size=8))
    def check(some: list[str]) -> None:
        assert_same(pair.model, pair.reference, some)

    check()


@pytest.mark.parametrize("name", ["rs-float16", "made-half-weighted"])
def test_float16_is_nearer_to_the_exact_value_than_model2vec(name: str, pairs: Pairs) -> None:
    pair = pairs(name)
    model, reference = pair.model, pair.reference
    exact = StaticModel(
        vectors=reference.embedding.astype(np.float64),
        tokenizer=reference.tokenizer,
        weights=None if reference.weights is None else reference.weights.astype(np.float64),
        token_mapping=reference.token_mapping,
        normalize=reference.normalize,
    ).encode(CORPUS)
    ours, theirs = np.abs(model.encode(CORPUS) - exact).max(), np.abs(reference.encode(CORPUS) - exact).max()
    assert ours < 1e-6 < theirs
