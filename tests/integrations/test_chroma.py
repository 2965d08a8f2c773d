"""Chroma's own checks of an embedding function, and collections that are opened again in another process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m2v_onnx import InvalidModelError, OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

chromadb = pytest.importorskip("chromadb", reason="`make integrations` installs it")

from m2v_onnx.integrations.chroma import Model2VecEmbeddingFunction  # noqa: E402

TEXTS = ["The whale sings to its calf.", "Salt the water before the pasta.", "", "The river froze in January."]
IDS = ["whale", "pasta", "nothing", "river"]
QUERY = "how do I cook noodles"


@pytest.fixture(scope="module")
def function() -> Model2VecEmbeddingFunction:
    return Model2VecEmbeddingFunction(COMMITTED_BUNDLE, max_length=100)


def test_vectors(function: Model2VecEmbeddingFunction, model_inside: OnnxStaticModel) -> None:
    for made in (function(TEXTS), function(input=TEXTS), function.embed_query(TEXTS)):
        np.testing.assert_array_equal(np.stack(made), model_inside.encode(TEXTS))
    assert not function.is_legacy()
    with pytest.raises(TypeError, match="got int"):
        function([1])


def test_config(function: Model2VecEmbeddingFunction) -> None:
    from chromadb.utils.embedding_functions import config_to_embedding_function

    config = function.get_config()
    assert config == {"model_name": str(COMMITTED_BUNDLE), "max_length": 100, "dim": 64}
    again = config_to_embedding_function({"name": "m2v_onnx", "config": config})
    assert again.get_config() == config
    assert again.model.max_length == 100
    with pytest.raises(InvalidModelError, match="expected 256"):
        Model2VecEmbeddingFunction.build_from_config({**config, "dim": 256})
    function.validate_config_update(config, {**config, "model_name": "elsewhere"})
    with pytest.raises(ValueError, match="normalize: the collection's vectors were made with None, got False"):
        function.validate_config_update(config, {**config, "normalize": False})


def test_a_collection_is_opened_again(tmp_path: Path, function: Model2VecEmbeddingFunction) -> None:
    """In a process that names no embedding function; the query is embedded by the one that was stored."""
    collection = chromadb.PersistentClient(str(tmp_path)).create_collection("notes", embedding_function=function)
    collection.add(ids=IDS, documents=TEXTS)
    assert found(collection) == ["pasta"]
    assert collection.count() == 4
    assert collection.configuration["hnsw"]["space"] == "cosine"
    script = f"""
import chromadb
{{}}
collection = chromadb.PersistentClient({str(tmp_path)!r}).get_collection("notes")
print(collection.query(query_texts=[{QUERY!r}], n_results=1)["ids"][0])
"""
    done = run(script.format("import m2v_onnx.integrations.chroma"))
    assert done.stdout == "['pasta']\n", done.stderr
    done = run(script.format(""))
    assert "Embedding function m2v_onnx not found" in done.stderr


def found(collection: Any) -> list[str]:
    ids: list[str] = collection.query(query_texts=[QUERY], n_results=1)["ids"][0]
    return ids


def run(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
