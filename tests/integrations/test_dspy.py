"""DSPy: vectors of the right model, and what takes an embedder."""

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE, POTION_BUNDLE

dspy = pytest.importorskip("dspy", reason="`make integrations` installs it")

from m2v_onnx.integrations.dspy import Model2VecEmbedder  # noqa: E402

TEXTS = ["The whale sings to its calf.", "", "naïve café 北京"]


async def test_vectors(model_inside: OnnxStaticModel) -> None:
    embedder = Model2VecEmbedder(COMMITTED_BUNDLE)
    expected = model_inside.encode(TEXTS)
    np.testing.assert_array_equal(embedder(TEXTS), expected)
    np.testing.assert_array_equal(embedder(TEXTS, batch_size=1), expected)
    np.testing.assert_array_equal(embedder(TEXTS[0]), expected[0])
    np.testing.assert_array_equal(await embedder.acall(TEXTS), expected)
    with pytest.raises(ValueError, match="cannot tell models apart"):
        embedder(TEXTS, caching=True)


def test_two_models(potion: OnnxStaticModel) -> None:
    """Each has its own vectors; in dspy.Embedder(model.encode) the second gets those of the first."""
    first, second = Model2VecEmbedder(COMMITTED_BUNDLE, normalize=False), Model2VecEmbedder(POTION_BUNDLE)
    assert not np.allclose(first(TEXTS), second(TEXTS), atol=0.1)
    np.testing.assert_array_equal(second(TEXTS), potion.encode(TEXTS))


def test_examples_like_another() -> None:
    """KNN, which picks few-shot examples."""
    trainset = [dspy.Example(question=text, answer="-").with_inputs("question") for text in TEXTS[::2]]
    knn = dspy.KNN(k=1, trainset=trainset, vectorizer=Model2VecEmbedder(COMMITTED_BUNDLE))
    assert [example.question for example in knn(question="a song of whales")] == [TEXTS[0]]
