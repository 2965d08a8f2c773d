"""Tensors that are stored outside the graphs, in one file that onnxruntime maps into memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from m2v_export.source.chunks import Array
from m2v_onnx.models.format import TABLE

PAGE_BYTES = 4096
"""Where a mapped tensor may start; onnxruntime maps whole pages."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor as it is written.

    :ivar parts: arrays that follow each other along the first axis, as a table of some gigabytes is not to be copied
        for a row; all of one dtype.
    """

    parts: tuple[Array, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


class Outside:
    """Tensors as external data, one after the other in one file, each at a page's start.

    :ivar tensors: by initializer name, in their order. :ivar protos: what graphs have of them.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Stored] = {}
        self.protos: dict[str, onnx.TensorProto] = {}
        self._end = 0

    def add(self, name: str, tensor: Stored) -> onnx.TensorProto:
        """:param name: a new one."""
        assert name not in self.tensors, f"{name} is stored already"
        proto = onnx.TensorProto(
            name=name,
            dims=tensor.shape,
            data_type=helper.np_dtype_to_tensor_dtype(tensor.dtype),
            data_location=onnx.TensorProto.EXTERNAL,
        )
        place = {"location": TABLE.rpartition("/")[2], "offset": self._end, "length": tensor.nbytes}
        for key, value in place.items():
            proto.external_data.add(key=key, value=str(value))
        self.tensors[name], self.protos[name] = tensor, proto
        self._end += -(-tensor.nbytes // PAGE_BYTES) * PAGE_BYTES
        return proto
