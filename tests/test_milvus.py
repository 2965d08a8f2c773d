"""Model2VecEmbeddingFunction: Milvus' class of that name, and a search in Milvus Lite."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m2v_onnx import Model2VecEmbeddingFunction, OnnxStaticModel
from m2v_onnx.commands.demo import QUERIES, TEXTS, demo
from m2v_onnx.errors import MissingExtraError
from tests.conftest import CORPUS, POTION_BUNDLE

METHODS = ("encode_documents", "encode_queries", "__call__")

needs_milvus = pytest.mark.skipif(
    find_spec("pymilvus") is None or find_spec("milvus_lite") is None,
    reason="needs pymilvus and milvus-lite: pip install 'm2v-onnx[demo]'",
)


@pytest.fixture(scope="module")
def ef() -> Model2VecEmbeddingFunction:
    return Model2VecEmbeddingFunction("minishlab/potion-base-2M")


def test_the_signature_is_milvus_s() -> None:
    """pymilvus.model 0.3.4: Model2VecEmbeddingFunction(model_source="minishlab/potion-base-8M", **kwargs)."""
    parameters = list(inspect.signature(Model2VecEmbeddingFunction).parameters.values())
    assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY] == ["model_source", "kwargs"]
    assert parameters[0].default == "minishlab/potion-base-8M"
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
    assert [*inspect.signature(Model2VecEmbeddingFunction.encode_queries).parameters] == ["self", "queries"]
    assert [*inspect.signature(Model2VecEmbeddingFunction.encode_documents).parameters] == ["self", "documents"]
    assert [*inspect.signature(Model2VecEmbeddingFunction.__call__).parameters] == ["self", "texts"]


@pytest.mark.parametrize("method", METHODS)
def test_lists_of_vectors(method: str, ef: Model2VecEmbeddingFunction, model_inside: OnnxStaticModel) -> None:
    vectors = getattr(ef, method)(CORPUS)
    assert isinstance(vectors, list)
    assert len(vectors) == len(CORPUS)
    for vector, wanted in zip(vectors, model_inside.encode(CORPUS), strict=True):
        assert isinstance(vector, np.ndarray)
        assert (vector.shape, vector.dtype) == ((ef.dim,), np.float32)
        np.testing.assert_array_equal(vector, wanted)


@pytest.mark.parametrize("method", METHODS)
def test_empty_lists(method: str, ef: Model2VecEmbeddingFunction) -> None:
    assert getattr(ef, method)([]) == []
    (vector,) = getattr(ef, method)([""])
    assert vector.tolist() == [0.0] * ef.dim


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("hello", r"expected a list of texts, got a single str: pass \[text\]"),
        (b"hello", r"expected a list of texts, got a single bytes: pass \[text\]"),
        (None, r"expected a list of texts, got NoneType: pass a list of str"),
        (1.5, r"expected a list of texts, got float: pass a list of str"),
        (["a", 1], r"expected texts \(str\), got int at position 1: pass a list of str"),
        ([["a"]], r"expected texts \(str\), got list at position 0: pass a list of str"),
    ],
    ids=repr,
)
def test_what_is_no_list_of_texts(method: str, texts: Any, message: str, ef: Model2VecEmbeddingFunction) -> None:
    with pytest.raises(TypeError, match=message):
        getattr(ef, method)(texts)


def test_dim(ef: Model2VecEmbeddingFunction) -> None:
    assert ef.dim == 64
    assert ef.model_source == "minishlab/potion-base-2M"
    with pytest.raises(AttributeError):
        ef.dim = 3  # type: ignore[misc]


@pytest.mark.parametrize("kind", [str, Path])
def test_options(kind: Callable[[Path], Any], potion: OnnxStaticModel) -> None:
    plain = Model2VecEmbeddingFunction(model_source=kind(POTION_BUNDLE), normalize=False, max_length=3, threads=1)
    wanted = potion.encode(CORPUS, normalize=False, max_length=3)
    np.testing.assert_array_equal(np.array(plain.encode_documents(CORPUS)), wanted)


def test_demo_without_milvus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"the demo needs the package pymilvus: pip install 'm2v-onnx\[demo\]'"):
        demo("minishlab/potion-base-2M")


@needs_milvus
def test_milvus_finds_what_was_asked(tmp_path: Path, ef: Model2VecEmbeddingFunction) -> None:
    """The nearest documents by Milvus Lite are those by the vectors themselves."""
    from pymilvus import MilvusClient

    documents = TEXTS.read_text(encoding="utf-8").splitlines()
    vectors = ef.encode_documents(documents)
    client = MilvusClient(str(tmp_path / "milvus.db"))
    try:
        client.create_collection("texts", dimension=ef.dim, metric_type="COSINE")
        client.insert("texts", [{"id": i, "vector": vector} for i, vector in enumerate(vectors)])
        found = client.search("texts", data=ef.encode_queries(list(QUERIES)), limit=3)
    finally:
        client.close()
    similarities = np.array(ef.encode_queries(list(QUERIES))) @ np.array(vectors).T
    for hits, wanted in zip(found, similarities, strict=True):
        assert [hit["id"] for hit in hits] == np.argsort(-wanted)[:3].tolist()
        np.testing.assert_allclose([hit["distance"] for hit in hits], np.sort(-wanted)[:3] * -1, rtol=0, atol=1e-5)


@needs_milvus
def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    demo("minishlab/potion-base-2M", ["how do whales breathe?"])
    lines = capsys.readouterr().out.splitlines()
    assert "documents in Milvus Lite, 64 dimensions, by minishlab/potion-base-2M" in lines[0]
    assert lines[2] == "how do whales breathe?"
    assert lines[3].endswith("Whales come to the surface to breathe air through a blowhole on top of the head.")
    assert len(lines) == 6


@needs_milvus
def test_demo_leaves_nothing(tmp_path: Path) -> None:
    """Neither does Milvus Lite when the process ends."""
    command = [sys.executable, "-m", "m2v_onnx", "demo", "minishlab/potion-base-2M"]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path))
    subprocess.run(command, env=os.environ | places, capture_output=True, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_bits() -> None:
    """As Milvus has it unless it is told otherwise; nothing but bits has one."""
    vectors = np.array(Model2VecEmbeddingFunction("minishlab/potion-base-2M").encode_documents(CORPUS))
    for bitorder in ("big", "little"):
        ef = Model2VecEmbeddingFunction("minishlab/potion-base-2M", dtype="binary", bitorder=bitorder)
        expected = np.packbits(vectors > 0, axis=1, bitorder=bitorder)
        np.testing.assert_array_equal(np.array(ef.encode_documents(CORPUS)), expected)
        np.testing.assert_array_equal(ef.encode_queries(CORPUS[:1])[0], expected[0])
    with pytest.raises(ValueError, match="bitorder 'little' is for dtype binary, got dtype 'float32'"):
        Model2VecEmbeddingFunction("minishlab/potion-base-2M", bitorder="little")
