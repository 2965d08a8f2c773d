"""The face with sentence-transformers' names: what its users rely on, and the real library beside it."""

from typing import Any

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.integrations.sentence_transformers import SentenceTransformer
from tests.conftest import COMMITTED_BUNDLE, POTION, POTION_BUNDLE

TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "", "He drove to the stadium."]


@pytest.fixture(scope="module")
def face() -> SentenceTransformer:
    return SentenceTransformer(POTION_BUNDLE, prompts={"query": "query: ", "passage": "passage: "})


def test_vectors(face: SentenceTransformer, potion: OnnxStaticModel) -> None:
    np.testing.assert_array_equal(face.encode(TEXTS), potion.encode(TEXTS))
    np.testing.assert_array_equal(face.encode(TEXTS[0]), potion.encode(TEXTS[0]))
    assert face.encode([]).shape == (0, 64)
    assert (face.get_embedding_dimension(), face.get_sentence_embedding_dimension()) == (64, 64)
    assert face.max_seq_length == 512


def test_prompts(face: SentenceTransformer, potion: OnnxStaticModel) -> None:
    text = TEXTS[0]
    queries, passages = potion.encode(["query: " + text]), potion.encode(["passage: " + text])
    np.testing.assert_array_equal(face.encode_query([text]), queries)
    np.testing.assert_array_equal(face.encode_document([text], batch_size=32), passages)
    np.testing.assert_array_equal(face.encode([text], "query"), queries)
    np.testing.assert_array_equal(face.encode(text, prompt="passage: "), passages[0])
    np.testing.assert_array_equal(face.encode_document([text], prompt="query: "), queries)
    with pytest.raises(ValueError, match=r"expected one of \['passage', 'query'\], got 'classification'"):
        face.encode(text, prompt_name="classification")


def test_fewer_dimensions(face: SentenceTransformer, potion: OnnxStaticModel) -> None:
    whole = potion.encode(TEXTS)
    np.testing.assert_array_equal(face.encode(TEXTS, truncate_dim=16), whole[:, :16])
    lengths = np.linalg.norm(face.encode(TEXTS, truncate_dim=16, normalize_embeddings=True), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 1], atol=1e-6)
    cut = SentenceTransformer(POTION_BUNDLE, truncate_dim=16, normalize=False)
    assert cut.get_embedding_dimension() == 16
    np.testing.assert_array_equal(cut.encode(TEXTS), potion.encode(TEXTS, normalize=False)[:, :16])
    assert face.encode(TEXTS, precision="ubinary", truncate_dim=16).shape == (4, 2)
    with pytest.raises(ValueError, match="at most 64"):
        face.encode(TEXTS, truncate_dim=65)


def test_bits(face: SentenceTransformer, potion: OnnxStaticModel) -> None:
    bits = face.encode(TEXTS, precision="ubinary")
    np.testing.assert_array_equal(bits, potion.encode(TEXTS, dtype="binary"))
    signed = face.encode(TEXTS, precision="binary")
    assert signed.dtype == np.int8
    np.testing.assert_array_equal(signed, bits.astype(int) - 128)


def test_similarity(face: SentenceTransformer) -> None:
    vectors = face.encode(TEXTS)
    found = face.similarity(vectors * 3, vectors)
    np.testing.assert_allclose(np.diag(found), [1, 1, 0, 1], atol=1e-6)
    assert found[0, 1] > found[0, 3]
    np.testing.assert_allclose(face.similarity_pairwise(vectors, vectors[::-1]), np.diag(found[:, ::-1]), atol=1e-6)
    assert face.similarity(vectors[0], vectors).shape == (1, 4)
    dot = SentenceTransformer(POTION_BUNDLE, similarity_fn_name="dot")
    np.testing.assert_allclose(dot.similarity(vectors * 3, vectors), 3 * found, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "uint8"}, "depend on the other texts"),
        ({"device": "cuda"}, "providers"),
        ({"truncate_dim": 0}, "from 1"),
    ],
)
def test_what_there_is_not(face: SentenceTransformer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        face.encode(TEXTS, **options)
    with pytest.raises(ValueError, match="similarity_fn_name"):
        SentenceTransformer(COMMITTED_BUNDLE, similarity_fn_name="euclidean")  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", ["float32", "binary", "ubinary"])
@pytest.mark.parametrize("options", [{}, {"truncate_dim": 16}, {"truncate_dim": 16, "normalize_embeddings": True}])
def test_beside_the_real_one(face: SentenceTransformer, precision: Any, options: dict[str, Any]) -> None:
    """On texts without unknown tokens, which the real one counts and model2vec leaves out."""
    library = pytest.importorskip("sentence_transformers", reason="`make integrations-torch` installs it")
    module = library.sentence_transformer.modules.StaticEmbedding.from_model2vec(str(POTION))
    real = library.SentenceTransformer(modules=[module, library.sentence_transformer.modules.Normalize()])
    for name in ("encode", "encode_query", "encode_document"):
        asked: dict[str, Any] = {"precision": precision, **options, "prompt": "passage: "}
        theirs, ours = getattr(real, name)(TEXTS, **asked), getattr(face, name)(TEXTS, **asked)
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    vectors = face.encode(TEXTS)
    np.testing.assert_allclose(face.similarity(vectors, vectors), real.similarity(vectors, vectors), rtol=0, atol=1e-6)
    pairs = vectors, vectors[::-1].copy()
    np.testing.assert_allclose(face.similarity_pairwise(*pairs), real.similarity_pairwise(*pairs), rtol=0, atol=1e-6)
    tensors = face.encode(TEXTS, convert_to_tensor=True)
    assert type(tensors) is type(real.encode(TEXTS, convert_to_tensor=True))
    np.testing.assert_array_equal(np.stack(face.encode(TEXTS, convert_to_numpy=False)), tensors)
