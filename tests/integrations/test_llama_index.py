"""LlamaIndex: vectors, configurations, and the caches that go by them."""

import json
import pickle
from typing import Any

import numpy as np
import pytest

from m2v_onnx import InvalidModelError, OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

pytest.importorskip("llama_index.core", reason="`make integrations` installs it")

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import TextNode

from m2v_onnx.integrations.llama_index import Model2VecEmbedding

TEXTS = ["Salt the water before the pasta.", "", "naïve café 北京"]


@pytest.fixture(scope="module")
def embedding() -> Model2VecEmbedding:
    return Model2VecEmbedding(COMMITTED_BUNDLE)


def test_vectors(embedding: Model2VecEmbedding, model_inside: OnnxStaticModel) -> None:
    assert embedding.embed_batch_size == 2048
    expected = model_inside.encode(TEXTS)
    for found in (
        embedding.get_text_embedding_batch(TEXTS),
        [embedding.get_text_embedding(text) for text in TEXTS],
        [embedding.get_query_embedding(text) for text in TEXTS],
    ):
        np.testing.assert_array_equal(np.asarray(found, np.float32), expected)


async def test_async(embedding: Model2VecEmbedding) -> None:
    expected = embedding.get_text_embedding_batch(TEXTS)
    assert await embedding.aget_text_embedding_batch(TEXTS) == expected
    assert [await embedding.aget_text_embedding(text) for text in TEXTS] == expected
    assert [await embedding.aget_query_embedding(text) for text in TEXTS] == expected


def test_config() -> None:
    options: dict[str, Any] = {"normalize": False, "max_length": None}
    first = Model2VecEmbedding(COMMITTED_BUNDLE, embed_batch_size=100, **options)
    config = json.loads(first.to_json())
    assert (config["model_name"], config["dim"], config["embed_batch_size"]) == (str(COMMITTED_BUNDLE), 64, 100)
    assert config["options"] == options
    for again in (Model2VecEmbedding.from_dict(config), pickle.loads(pickle.dumps(first))):
        assert again.to_dict() == first.to_dict()
        assert again.get_text_embedding("a") == first.get_text_embedding("a")
        assert again.model.max_length is None
    with pytest.raises(InvalidModelError, match="expected 256"):
        Model2VecEmbedding.from_dict({**config, "dim": 256})
    with pytest.raises(TypeError, match="do you mean 'normalize'"):
        Model2VecEmbedding(COMMITTED_BUNDLE, normalise=True)


def test_a_pipeline_knows_other_options(embedding: Model2VecEmbedding) -> None:
    """Its cache goes by the configuration."""
    pipeline = IngestionPipeline(transformations=[embedding])
    (first,) = pipeline.run(nodes=[TextNode(text=TEXTS[0], id_="1")])
    pipeline.transformations = [Model2VecEmbedding(COMMITTED_BUNDLE, normalize=False)]
    (second,) = pipeline.run(nodes=[TextNode(text=TEXTS[0], id_="1")])
    assert first.embedding == embedding.get_text_embedding(TEXTS[0])
    assert second.embedding != first.embedding
