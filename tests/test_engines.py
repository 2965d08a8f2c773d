"""plain.onnx as other engines need it: common operators, and right vectors in an evaluator that is not onnxruntime."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from model2vec import StaticModel
from onnx.reference import ReferenceEvaluator
from tokenizers.normalizers import NFC, Lowercase, Sequence

from m2v_export import export_model
from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import BAG, CONFIG, GOLDEN, MANIFEST, ONE, PLAIN, TEXT
from tests.conftest import make_tokenizer

ROOT = Path(__file__).parents[1]
BUNDLES = [ROOT / "models" / f"potion-base-{size}-onnx" for size in ("2M", "8M")]

COMMON = {
    "Add", "Cast", "Div", "Equal", "Floor", "Gather", "Greater", "Max", "Mul", "Not", "ReduceSum", "Sqrt", "Squeeze",
    "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
"""What OpenVINO, LiteRT, rten, tract and MNN were seen to run right. onnx2tf takes a Where for one of equal sizes."""


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_common_operators_and_no_sizes_made_up(bundle: Path) -> None:
    model = onnx.load(bundle / PLAIN, load_external_data=False)
    assert {node.op_type for node in model.graph.node} <= COMMON
    assert not model.graph.value_info
    names = {dim.dim_param for info in model.graph.input for dim in info.type.tensor_type.shape.dim}
    assert names == {"N", "L"}


@pytest.mark.parametrize("path", [BAG, ONE, PLAIN, TEXT])
def test_defaults_that_engines_differ_in_are_written_out(path: str) -> None:
    """rten takes a Slice without axes for one of all axes; tinygrad needs GatherElements' axis."""

    def check(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            if node.op_type == "Slice":
                assert len(node.input) >= 4
                assert node.input[3]
            if node.op_type == "GatherElements":
                assert [attribute.name for attribute in node.attribute] == ["axis"]
            if node.op_type == "Loop":
                assert node.input[1]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    check(attribute.g)

    check(onnx.load(BUNDLES[0] / path, load_external_data=False).graph)


def test_golden_vectors_in_another_evaluator() -> None:
    golden = json.loads((BUNDLES[0] / GOLDEN).read_bytes())
    evaluator = ReferenceEvaluator(onnx.load(BUNDLES[0] / PLAIN))

    def vectors(ids: list[list[int]], width: int) -> npt.NDArray[np.float32]:
        grid = np.zeros((len(ids), width), np.int64)
        mask = np.zeros((len(ids), width), np.int64)
        for i, text in enumerate(ids):
            grid[i, : len(text)], mask[i, : len(text)] = text, 1
        results: Any = evaluator.run(["sentence_embedding"], {"input_ids": grid, "attention_mask": mask})
        return np.asarray(results[0], np.float32)

    entries = [entry for entry in golden["texts"] if len(entry["input_ids"]) <= 64]
    expected = np.array([entry["sentence_embedding"] for entry in entries])
    found = vectors([entry["input_ids"] for entry in entries], 64)
    np.testing.assert_allclose(found, expected, rtol=0, atol=golden["tolerance"])
    longest = max(golden["texts"], key=lambda entry: len(entry["input_ids"]))
    found = vectors([longest["input_ids"]], len(longest["input_ids"]))
    np.testing.assert_allclose(found, [longest["sentence_embedding"]], rtol=0, atol=golden["tolerance"])
    np.testing.assert_array_equal(vectors([[], []], 1), np.zeros((2, expected.shape[1])))


def test_what_the_examples_feed_gives_golden_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples" / "engines")
    texts = importlib.import_module("texts")
    golden = json.loads((BUNDLES[0] / GOLDEN).read_bytes())
    batch = texts.padded(texts.tokens(BUNDLES[0], [entry["text"] for entry in golden["texts"]]))
    feeds = {name: np.array(rows) for name, rows in batch.items()}
    results: Any = ReferenceEvaluator(onnx.load(BUNDLES[0] / PLAIN)).run(["sentence_embedding"], feeds)
    expected = [entry["sentence_embedding"] for entry in golden["texts"]]
    np.testing.assert_allclose(results[0], expected, rtol=0, atol=golden["tolerance"])
    assert texts.padded([[], []]) == {"input_ids": [[0], [0]], "attention_mask": [[0], [0]]}


@pytest.mark.parametrize("precision", ["float32", "int8", "int4"])
def test_few_dimensions_are_summed_exactly_without_float64(precision: str, tmp_path: Path) -> None:
    """OpenVINO and MNN read float64 as float32, and were 2.9e-6 off where rows nearly cancel out."""
    tokenizer, rng = make_tokenizer("wordlevel"), np.random.default_rng(5)
    tokenizer.normalizer = Sequence([NFC(), Lowercase()])  # there is no text.onnx for it, which would take seconds
    tokens = tokenizer.get_vocab_size()
    weighted: Any = {"weights": rng.random(tokens), "token_mapping": rng.integers(0, 30, tokens)}  # added in float64
    table = rng.normal(size=(30, 5)).astype(np.float32)
    StaticModel(vectors=table, tokenizer=tokenizer, **weighted).save_pretrained(tmp_path / "source")
    bundle = tmp_path / "bundle"
    export_model(tmp_path / "source", bundle, precision=precision)
    model = onnx.load(bundle / PLAIN)
    casts = {attribute.i for node in model.graph.node if node.op_type == "Cast" for attribute in node.attribute}
    assert casts == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    golden = json.loads((bundle / GOLDEN).read_bytes())
    evaluator = ReferenceEvaluator(model)
    for entry in golden["texts"]:
        ids = np.array([entry["input_ids"] or [0]])
        feeds = {"input_ids": ids, "attention_mask": np.full_like(ids, bool(entry["input_ids"]))}
        results: Any = evaluator.run(["sentence_embedding"], feeds)
        np.testing.assert_allclose(results[0], [entry["sentence_embedding"]], rtol=0, atol=golden["tolerance"])


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_config_names_the_graph_for_each_kind_of_engine(bundle: Path) -> None:
    graphs = json.loads((bundle / CONFIG).read_bytes())[MANIFEST]["graphs"]
    assert graphs == {"onnxruntime": [BAG, ONE, TEXT], "other engines": [PLAIN]}


def test_a_provider_that_the_build_lacks_is_refused() -> None:
    """onnxruntime itself would take another one, with a warning."""
    with pytest.raises(ValueError, match=r"providers: expected some of .*CPUExecutionProvider.*got 'NoSuchProvider'"):
        OnnxStaticModel.from_pretrained(BUNDLES[0], providers=["NoSuchProvider", "CPUExecutionProvider"])
