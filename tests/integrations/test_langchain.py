"""LangChain's own tests for embeddings, and what its users rely on."""

import asyncio
from typing import Any

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

pytest.importorskip("langchain_core")
standard = pytest.importorskip("langchain_tests.integration_tests")

from langchain_core.embeddings import Embeddings  # noqa: E402

from m2v_onnx.integrations.langchain import Model2vecEmbeddings  # noqa: E402

TEXTS = ["Salt the water before the pasta.", "", "naïve café 北京"]


class TestStandard(standard.EmbeddingsIntegrationTests):  # type: ignore[misc, name-defined]
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return Model2vecEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": str(COMMITTED_BUNDLE)}


@pytest.fixture(scope="module")
def embeddings() -> Model2vecEmbeddings:
    return Model2vecEmbeddings(COMMITTED_BUNDLE)


def test_vectors(embeddings: Model2vecEmbeddings, model_inside: OnnxStaticModel) -> None:
    expected = model_inside.encode(TEXTS)
    assert np.array_equal(np.asarray(embeddings.embed_documents(TEXTS), np.float32), expected)
    assert np.array_equal(np.asarray([embeddings.embed_query(text) for text in TEXTS], np.float32), expected)
    assert embeddings.embed_documents([]) == []
    assert Model2vecEmbeddings(COMMITTED_BUNDLE, normalize=False).embed_query("a") != embeddings.embed_query("a")


async def test_many_at_once(embeddings: Model2vecEmbeddings) -> None:
    given = [[f"{text} {i}" for text in TEXTS] for i in range(20)]
    found = await asyncio.gather(*map(embeddings.aembed_documents, given))
    assert found == [embeddings.embed_documents(texts) for texts in given]
    assert await embeddings.aembed_query("a") == embeddings.embed_query("a")


def test_a_single_text_is_no_list(embeddings: Model2vecEmbeddings) -> None:
    with pytest.raises(TypeError, match=r"pass \[text\]"):
        embeddings.embed_documents("a")  # type: ignore[arg-type]


def test_zeros_in_the_store_in_memory() -> None:
    """What docs/frameworks.md says of a text without tokens: a document scores 0, a query is an error."""
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore.from_texts(["the whale sings", ""], Model2vecEmbeddings("minishlab/potion-base-2M"))
    found = store.similarity_search_with_score("a whale", k=2)
    assert [(document.page_content, score > 0) for document, score in found] == [("the whale sings", True), ("", False)]
    assert found[1][1] == 0
    with pytest.raises(ValueError, match="NaN values found"):
        store.similarity_search("")
