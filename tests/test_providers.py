"""Another execution provider than the CPU's. `make providers` runs this with onnxruntime-openvino, in an environment
that has it in the place of onnxruntime."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import PLAIN
from m2v_onnx.ort import onnxruntime

OPENVINO, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"
BUNDLE = Path(__file__).parents[1] / "models" / "potion-base-2M-onnx"
TEXTS = ["It's dangerous to go alone!", "", "Take this.", *("word " * length for length in range(40))]

pytestmark = pytest.mark.skipif(
    OPENVINO not in onnxruntime.get_available_providers(), reason="needs onnxruntime-openvino: make providers"
)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return OnnxStaticModel.from_pretrained(BUNDLE).encode(TEXTS)


def test_plain_onnx_runs(expected: np.ndarray) -> None:
    """One text, many, and one without tokens, which is NaN in one.onnx there."""
    model = OnnxStaticModel.from_pretrained(BUNDLE / PLAIN, providers=[OPENVINO])
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)
    for text, vector in zip(TEXTS[:3], expected, strict=False):
        np.testing.assert_allclose(model.encode(text), vector, rtol=0, atol=1e-6)


def test_a_graph_that_it_cannot_take_is_refused() -> None:
    with pytest.raises(ValueError, match=rf"with {OPENVINO}: open .*plain\.onnx, or add '{CPU}' to the providers \("):
        OnnxStaticModel.from_pretrained(BUNDLE, providers=[OPENVINO])


def test_or_runs_on_the_next_provider(expected: np.ndarray) -> None:
    with pytest.warns(RuntimeWarning, match=rf"cannot open it with {OPENVINO}, so it runs with {CPU}: "):
        model = OnnxStaticModel.from_pretrained(BUNDLE, providers=[OPENVINO, CPU])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other graphs are opened when they are needed
        np.testing.assert_array_equal(model.encode(TEXTS), expected)
