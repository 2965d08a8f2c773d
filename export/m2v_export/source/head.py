"""The head of a classifier or regressor: model2vec's ``MLPHead``, a few layers on a text's vector.

Needs no package besides those of the export: a head is stored in head.safetensors and config.json. Those of before
model2vec 0.10, pipeline.skops, are scikit-learn's, and are refused with the way to convert them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from m2v_export.source.chunks import Array
from m2v_onnx.errors import InvalidModelError
from m2v_onnx.models.format import PREDICTIONS, PROBABILITIES

if TYPE_CHECKING:
    from model2vec.inference.mlp import MLPHead

TENSORS = "head.safetensors"
LEGACY = "pipeline.skops"
CONFIG_KEY = "head_config"

OUTPUTS = {"softmax": PROBABILITIES, "sigmoid": PROBABILITIES, "identity": PREDICTIONS}
"""What a graph calls the result of each activation."""


@dataclass(frozen=True, eq=False)
class Head:
    """Layers with a ReLU between them, and what becomes of the last one's values.

    :ivar weights: float32 or float64 [inputs, outputs] a layer; transposed, as MatMul takes them.
    :ivar biases: the same type [outputs] a layer.
    :ivar activation: "softmax", "sigmoid" (several labels a text) or "identity" (a regression).
    :ivar labels: strings or numbers, one an output; None for a regression.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str
    labels: list[Any] | None

    @property
    def output(self) -> str:
        return OUTPUTS[self.activation]

    def width(self, dim: int) -> int:
        """:param dim: of the vectors. :return: the number of outputs."""
        return len(self.biases[-1]) if self.biases else dim

    def tensors(self) -> dict[str, Array]:
        """What is stored with the table, by initializer name."""
        layers = enumerate(zip(self.weights, self.biases, strict=True))
        return {
            f"head.{i}.{part}": array
            for i, layer in layers
            for part, array in zip(("weight", "bias"), layer, strict=True)
        }

    def reference(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The arithmetic, plain and in float64. :return: float32 [N, outputs]."""
        values = vectors.astype(np.float64)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = (np.maximum(values, 0) if i else values) @ weight.astype(np.float64) + bias
        if self.activation == "softmax":
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        elif self.activation == "sigmoid":
            values = np.exp(-np.logaddexp(0, -values))
        return values.astype(np.float32)

    def in_model2vec(self) -> "MLPHead":
        """The same in model2vec."""
        from model2vec.inference.mlp import Activation, Layer, MLPHead

        layers = [Layer(w.T, b) for w, b in zip(self.weights, self.biases, strict=True)]
        labels = None if self.labels is None else np.asarray(self.labels)
        return MLPHead(layers, Activation(self.activation), labels)


def read_head(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Array] | None, dim: int) -> Head | None:
    """The head of a model's folder; None where it has none.

    :param tensors: of head.safetensors; None where there is no such file.
    :raises InvalidModelError: when it is damaged, does not fit the vectors or is of the old format.
    """
    if tensors is None:
        if (folder / LEGACY).is_file():
            raise InvalidModelError(
                f"{folder} has a classifier in the format of before model2vec 0.10, {LEGACY}: convert it with"
                " model2vec.inference.convert_legacy_pipeline(FOLDER).save_pretrained(NEW) and export NEW"
            )
        return None
    about = config.get(CONFIG_KEY) or {}
    layers = range(about.get("n_layers", 0))
    try:
        weights, biases = ([tensors[f"head.{i}.{part}"] for i in layers] for part in ("weight", "bias"))
    except KeyError as error:
        raise InvalidModelError(f"{folder / TENSORS}: expected {len(layers)} layers, there is no {error}") from error
    return make_head(weights, biases, about.get("activation", "identity"), about.get("classes"), dim, str(folder))


def make_head(
    weights: Sequence[Array], biases: Sequence[Array], activation: str, labels: Any, dim: int, where: str
) -> Head:
    """Check that the parts fit.

    :param weights: [outputs, inputs] a layer, as model2vec has them.
    :raises InvalidModelError: naming the part that does not.
    """
    if activation not in OUTPUTS:
        raise InvalidModelError(f"{where}: expected a head's activation {', '.join(OUTPUTS)}, got {activation!r}")
    width = dim
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise InvalidModelError(
                f"{where}: expected the head's layer {i} to take {width} values,"
                f" got weights {list(weight.shape)} and biases {list(bias.shape)}"
            )
        width = len(bias)
    if activation == "identity":
        labels = None
    elif not isinstance(labels, list) or len(labels) != width:
        got = f"{len(labels)}" if isinstance(labels, list) else repr(labels)
        raise InvalidModelError(f"{where}: expected {width} labels for the head's outputs, got {got}")
    # As numpy computes them on float32 vectors.
    dtype = np.result_type(np.float32, *(array.dtype for array in (*weights, *biases)))
    return Head(
        tuple(np.ascontiguousarray(weight.T, dtype) for weight in weights),
        tuple(np.ascontiguousarray(bias, dtype) for bias in biases),
        activation,
        labels,
    )
