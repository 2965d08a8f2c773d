"""The default model, minishlab/potion-base-8M: the vectors that Milvus' documentation prints for it."""

import json
import shutil
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from m2v_export import export_model
from m2v_onnx import Model2VecEmbeddingFunction, OnnxStaticModel
from tests.conftest import DATA, POTION

PAGE: dict[str, Any] = json.loads((DATA / "potion-base-8M-rows" / "milvus_page.json").read_text(encoding="utf-8"))
PRINTED = ("first_document_begins", "last_document_ends", "first_query_begins", "last_query_ends")

Vectors = npt.NDArray[np.float32]


def _differences(documents: Vectors, queries: Vectors) -> list[float]:
    """The largest of each printed part."""
    found = (documents[0], documents[-1], queries[0], queries[-1])
    parts = []
    for name, vector in zip(PRINTED, found, strict=True):
        wanted = np.array(PAGE[name])
        part = vector[: len(wanted)] if name.endswith("begins") else vector[-len(wanted) :]
        parts.append(float(np.abs(part - wanted).max()))
    return parts


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> OnnxStaticModel:
    """A float32 export of the genuine rows of these texts: tests/data/potion-base-8M-rows/make.py says how."""
    folder = tmp_path_factory.mktemp("potion-base-8M-rows")
    source = shutil.copytree(DATA / "potion-base-8M-rows", folder / "source")
    shutil.copy(POTION / "tokenizer.json", source)  # the same file in both models
    export_model(source, folder / "bundle")
    return OnnxStaticModel.from_pretrained(folder / "bundle")


def test_a_float32_export_has_the_vectors_of_milvus_page(exact: OnnxStaticModel) -> None:
    documents, queries = exact.encode(PAGE["documents"]), exact.encode(PAGE["queries"])
    assert documents.shape == (3, PAGE["dim"])
    assert max(_differences(documents, queries)) < 1e-6


def test_the_one_inside_has_them_within_what_int8_costs(exact: OnnxStaticModel) -> None:
    """Without network or extras: an eighth of a percent of a vector's length, no cosine below 0.9999."""
    ef = Model2VecEmbeddingFunction()
    assert ef.dim == PAGE["dim"]
    documents, queries = np.array(ef.encode_documents(PAGE["documents"])), np.array(ef.encode_queries(PAGE["queries"]))
    assert max(_differences(documents, queries)) < 2e-3
    texts = PAGE["documents"] + PAGE["queries"]
    assert (np.concatenate([documents, queries]) * exact.encode(texts)).sum(axis=1).min() > 0.9999
