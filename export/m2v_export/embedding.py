"""What a graph needs of a model: the table and how token ids become rows of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from m2v_onnx.format import TABLE
from m2v_onnx.session import normalized

FLOAT32 = np.dtype(np.float32)
TABLE_DTYPES = ("float32", "float16", "int8")


@dataclass(frozen=True, eq=False)
class Embedding:
    """A table and the steps from token ids to rows.

    :ivar table: float32, float16 or int8 [rows, dim], used as it stands (int8 unscaled).
    :ivar mapping: int64 [tokens], token id to row; None where the id is the row.
    :ivar weights: float32 [tokens], a factor a token; None where all are 1.
    :ivar unk_token_id: the token that is dropped before the mean; None where there is none.
    :ivar normalize: whether the mean is divided by its L2 norm.
    :ivar sum_dtype: float32, or float64 where model2vec adds in that, for its weights are.
    """

    table: npt.NDArray[Any]
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32] | None
    unk_token_id: int | None
    normalize: bool
    sum_dtype: np.dtype[Any] = FLOAT32

    @property
    def dim(self) -> int:
        return int(self.table.shape[1])

    @property
    def precision(self) -> str:
        return self.table.dtype.name

    @property
    def tokens(self) -> int:
        """The number of token ids that have a row."""
        return len(self.table) if self.mapping is None else len(self.mapping)

    @cached_property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored outside the graphs, by initializer name."""
        return {"table": np.ascontiguousarray(self.table)}

    def initializers(self) -> dict[str, onnx.TensorProto]:
        """The stored tensors as external data, one after the other in one file, each at a page's start."""
        offset, protos = 0, {}
        for name, array in self.tensors.items():
            proto = onnx.TensorProto(
                name=name,
                dims=array.shape,
                data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
                data_location=onnx.TensorProto.EXTERNAL,
            )
            place = {"location": TABLE.rpartition("/")[2], "offset": offset, "length": array.nbytes}
            for key, value in place.items():
                proto.external_data.add(key=key, value=str(value))
            protos[name] = proto
            offset += -(-array.nbytes // PAGE_BYTES) * PAGE_BYTES
        return protos


PAGE_BYTES = 4096
"""Where a mapped tensor may start; onnxruntime maps whole pages."""


def reference_vectors(embedding: Embedding, ids: list[list[int]]) -> npt.NDArray[np.float32]:
    """The arithmetic, slow and plain: what every graph is held against.

    Rows are added one after the other in ``sum_dtype``, as numpy does it for model2vec.

    :param ids: token ids of each text, the unknown one left out.
    :return: float32 [N, dim].
    """
    vectors = np.zeros((len(ids), embedding.dim), np.float32)
    for vector, text in zip(vectors, ids, strict=True):
        if text:
            rows = text if embedding.mapping is None else embedding.mapping[text]
            values = embedding.table[rows].astype(embedding.sum_dtype)
            if embedding.weights is not None:
                values *= embedding.weights[text][:, None]
            vector[:] = np.cumsum(values, axis=0, dtype=embedding.sum_dtype)[-1] / embedding.sum_dtype.type(len(text))
    return normalized(vectors) if embedding.normalize else vectors
