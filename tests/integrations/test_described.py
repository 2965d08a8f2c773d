"""What all adapters share: the description of a model, and that nothing is imported before it is used."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from m2v_onnx import InvalidModelError, OnnxStaticModel
from m2v_onnx.integrations.described import DescribedModel
from tests.conftest import COMMITTED_BUNDLE, ROOT

ADAPTERS = {
    "langchain": "langchain-core",
    "chroma": "chromadb",
    "llama_index": "llama-index-core",
    "haystack": "haystack-ai",
    "lancedb": "lancedb",
    "txtai": "txtai",
    "dspy": "dspy",
}
"""Each module, and the package to install for it."""

FRAMEWORKS = (
    "langchain_core",
    "chromadb",
    "dspy",
    "haystack",
    "lancedb",
    "llama_index",
    "txtai",
    "sentence_transformers",
    "torch",
)


def test_a_config_opens_the_same_model(model_inside: OnnxStaticModel) -> None:
    options = {"normalize": False, "max_length": None, "threads": 1, "tokenizer": "tokenizers"}
    first = DescribedModel.of(COMMITTED_BUNDLE, options)
    assert first.config() == options  # dim is not known before the model is opened
    expected = first.vectors(["Take this.", ""])
    np.testing.assert_array_equal(expected, model_inside.encode(["Take this.", ""], normalize=False))
    config = json.loads(json.dumps(first.config()))
    assert config == {**options, "dim": 64}
    again = DescribedModel.of(first.source, {k: v for k, v in config.items() if k != "dim"}, config["dim"])
    np.testing.assert_array_equal(again.vectors(["Take this.", ""]), expected)
    assert (again.model.normalize, again.model.max_length, again.model.tokens_from) == (False, None, "tokenizers")


def test_providers_with_options_come_back() -> None:
    provider = ("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    described = DescribedModel.of(COMMITTED_BUNDLE, {"providers": [provider]})
    assert described.config() == {"providers": [list(provider)]}
    assert described.vector("Take this.").shape == (64,)


def test_another_model_than_it_was() -> None:
    with pytest.raises(InvalidModelError, match="have 64 dimensions, expected 256"):
        DescribedModel.of(COMMITTED_BUNDLE, {}, 256).vector("a")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalise": True}, "do you mean 'normalize'"),
        ({"token": "hf_secret"}, "HF_TOKEN"),
        ({"session_options": object()}, "options that JSON can hold"),
    ],
)
def test_options_that_no_file_may_hold(options: dict[str, Any], message: str) -> None:
    """Said when the adapter is made, before the model is opened."""
    with pytest.raises(TypeError, match=message) as caught:
        DescribedModel.of("no/such-model", options)
    assert "hf_secret" not in str(caught.value)


def test_one_and_many(model_inside: OnnxStaticModel) -> None:
    described = DescribedModel.of(COMMITTED_BUNDLE, {})
    assert described.vectors([]).shape == (0, 64)
    with pytest.raises(TypeError, match=r"pass \[text\]"):
        described.vectors("a")
    with pytest.raises(TypeError, match="expected a text, got list"):
        described.vector(["a"])  # type: ignore[arg-type]


def test_nothing_is_imported_before_it_is_used() -> None:
    script = """
import sys
sys.modules.update(dict.fromkeys({frameworks}))
import m2v_onnx.integrations.described
from m2v_onnx import Model2VecEmbeddingFunction
import importlib
for name, package in {adapters}.items():
    try:
        importlib.import_module(f"m2v_onnx.integrations.{name}")
    except ImportError as error:
        assert str(error) == f"this adapter needs the package {package}: pip install {package}", error
    else:
        raise AssertionError(name)
"""
    script = script.replace("{frameworks}", repr(FRAMEWORKS)).replace("{adapters}", repr(ADAPTERS))
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
