"""Haystack: both embedders, alone and in a pipeline that was written to YAML and read again."""

from typing import Any

import numpy as np
import pytest

from m2v_onnx import InvalidModelError, OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

pytest.importorskip("haystack", reason="`make integrations` installs it")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from m2v_onnx.integrations.haystack import Model2VecDocumentEmbedder, Model2VecTextEmbedder

BUNDLE = str(COMMITTED_BUNDLE)
TEXTS = ["Salt the water before the pasta.", "", "naïve café 北京"]


def vectors(documents: list[Document]) -> Any:
    return np.asarray([each.embedding for each in documents], np.float32)


def test_vectors(model_inside: OnnxStaticModel) -> None:
    embedder = Model2VecDocumentEmbedder(BUNDLE)
    given = [Document(content=text) for text in [*TEXTS, None]]
    found = embedder.run(given)["documents"]
    np.testing.assert_array_equal(vectors(found), model_inside.encode([*TEXTS, ""]))
    assert [each.embedding for each in given] == [None] * 4  # the caller's are left alone
    assert embedder.run([])["documents"] == []
    np.testing.assert_array_equal(
        np.float32(Model2VecTextEmbedder(BUNDLE).run(TEXTS[0])["embedding"]), model_inside.encode(TEXTS[0])
    )


def test_text_around_the_text(model_inside: OnnxStaticModel) -> None:
    options: dict[str, Any] = {"prefix": "say ", "suffix": " now"}
    query = Model2VecTextEmbedder(BUNDLE, **options).run("hello")["embedding"]
    np.testing.assert_array_equal(np.float32(query), model_inside.encode("say hello now"))
    embedder = Model2VecDocumentEmbedder(
        BUNDLE, meta_fields_to_embed=["title", "none", "year"], embedding_separator=" | ", **options
    )
    document = Document(content="hello", meta={"title": "Greetings", "year": 1999, "none": None})
    found = vectors(embedder.run([document])["documents"])
    np.testing.assert_array_equal(found, model_inside.encode(["say Greetings | 1999 | hello now"]))


async def test_async() -> None:
    documents = [Document(content=text) for text in TEXTS]
    embedder = Model2VecDocumentEmbedder(BUNDLE)
    assert await embedder.run_async(documents) == embedder.run(documents)
    text = Model2VecTextEmbedder(BUNDLE)
    assert await text.run_async(TEXTS[0]) == text.run(TEXTS[0])


def test_config() -> None:
    """Without opening a model: a pipeline is read where the model may not be."""
    first = Model2VecDocumentEmbedder("no/such-model", prefix="a", meta_fields_to_embed=["b"], max_length=None)
    config = first.to_dict()
    assert config["type"] == "m2v_onnx.integrations.haystack.Model2VecDocumentEmbedder"
    assert Model2VecDocumentEmbedder.from_dict(config).to_dict() == config
    query = Model2VecTextEmbedder(BUNDLE, normalize=False)
    assert query.to_dict()["init_parameters"] == {"model": BUNDLE, "prefix": "", "suffix": "", "normalize": False}
    query.warm_up()
    config = query.to_dict()
    assert config["init_parameters"]["dim"] == 64
    assert Model2VecTextEmbedder.from_dict(config).run("a") == query.run("a")
    config["init_parameters"]["dim"] = 256
    with pytest.raises(InvalidModelError, match="expected 256"):
        Model2VecTextEmbedder.from_dict(config).warm_up()


def test_a_pipeline_is_read_again() -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    documents = [Document(content="The whale sings to its calf."), Document(content=TEXTS[0])]
    store.write_documents(Model2VecDocumentEmbedder(BUNDLE).run(documents)["documents"])
    pipeline = Pipeline()
    pipeline.add_component("embedder", Model2VecTextEmbedder(BUNDLE, max_length=100))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=1))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["m2v_onnx.integrations.haystack"])
    assert again.get_component("embedder").to_dict()["init_parameters"]["max_length"] == 100
    for each in (pipeline, again):
        found = each.run({"embedder": {"text": "how do I cook noodles"}})["retriever"]["documents"]
        assert [document.content for document in found] == [TEXTS[0]]


def test_the_other_embedder() -> None:
    with pytest.raises(TypeError, match="use Model2VecTextEmbedder"):
        Model2VecDocumentEmbedder(BUNDLE).run("a")
    with pytest.raises(TypeError, match="use Model2VecDocumentEmbedder"):
        Model2VecTextEmbedder(BUNDLE).run([Document(content="a")])
    with pytest.raises(TypeError, match="do you mean 'normalize'"):
        Model2VecTextEmbedder(BUNDLE, normalise=True)  # type: ignore[call-arg]
