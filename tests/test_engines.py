"""plain.onnx as other engines need it: common operators, and right vectors in an evaluator that is not onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import BAG, CONFIG, GOLDEN, MANIFEST, ONE, PLAIN, TEXT

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


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda bundle: bundle.name)
def test_config_names_the_graph_for_each_kind_of_engine(bundle: Path) -> None:
    graphs = json.loads((bundle / CONFIG).read_bytes())[MANIFEST]["graphs"]
    assert graphs == {"onnxruntime": [BAG, ONE, TEXT], "other engines": [PLAIN]}


def test_a_provider_that_the_build_lacks_is_refused() -> None:
    """onnxruntime itself would take another one, with a warning."""
    with pytest.raises(ValueError, match=r"providers: expected some of .*CPUExecutionProvider.*got 'NoSuchProvider'"):
        OnnxStaticModel.from_pretrained(BUNDLES[0], providers=["NoSuchProvider", "CPUExecutionProvider"])
