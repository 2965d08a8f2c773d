"""Vectors in the types that Milvus and other stores take: docs/stores.md.

| type | Milvus | bytes | how |
|---|---|---|---|
| float32 | FLOAT_VECTOR | 4 dim | as the model makes them |
| float16 | FLOAT16_VECTOR | 2 dim | rounded |
| bfloat16 | BFLOAT16_VECTOR | 2 dim | rounded; ``ml_dtypes.bfloat16``, which pymilvus knows by its name |
| int8 | INT8_VECTOR | dim | each vector times 127 / its largest value: its length is lost, so search by COSINE |
| binary | BINARY_VECTOR | dim / 8 | a bit a dimension, set where it is above 0: search by HAMMING |

What each does to a search is measured in docs/quality.md.
"""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import MissingExtraError

VectorType = Literal["float32", "float16", "bfloat16", "int8", "binary"]

BitOrder = Literal["big", "little"]

INT8_LARGEST = 127
"""The code of a vector's largest value; -128 is not used, so that a vector's negative is its codes' negative."""


def as_type(
    vectors: npt.NDArray[np.float32], dtype: VectorType | npt.DTypeLike, bitorder: BitOrder = "big"
) -> npt.NDArray[Any]:
    """Convert vectors.

        >>> as_type(np.array([[0.5, -0.25, 0, 1, 1, -1, -1, 1]], np.float32), "int8")
        array([[  64,  -32,    0,  127,  127, -127, -127,  127]], dtype=int8)
        >>> as_type(np.array([[0.5, -0.25, 0, 1, 1, -1, -1, 1]], np.float32), "binary")
        array([[153]], dtype=uint8)

    :param vectors: float32 [..., dim].
    :param dtype: a name of the table above, or a numpy dtype of that name.
    :param bitorder: for binary, where the first dimension goes: "big", a byte's highest bit, as Milvus, FAISS and
        pgvector have it, or "little", the lowest, as sqlite-vec has it.
    :return: that type [..., dim]; for binary uint8 [..., dim / 8]. Zero vectors stay zero.
    :raises ValueError: for another type or order, for binary where dim is no multiple of 8, and for an order of bits
        where there are none.
    :raises MissingExtraError: for bfloat16 without the package ml_dtypes.
    """
    if dtype == "float32" and bitorder == "big":
        return vectors
    name = dtype if isinstance(dtype, str) else _name(dtype)
    if bitorder not in get_args(BitOrder):
        raise ValueError(f"bitorder: expected one of {', '.join(get_args(BitOrder))}, got {bitorder!r}")
    if bitorder != "big" and name != "binary":
        raise ValueError(f"bitorder {bitorder!r} is for dtype binary, got dtype {dtype!r}: leave one of the two out")
    if name == "float32":
        return vectors
    if name == "float16":
        return vectors.astype(np.float16)
    if name == "bfloat16":
        return vectors.astype(_bfloat16())
    if name == "int8":
        return _int8(vectors)
    if name == "binary":
        return _binary(vectors, bitorder)
    raise ValueError(f"dtype: expected one of {', '.join(get_args(VectorType))}, got {dtype!r}")


def _name(dtype: Any) -> str | None:
    """A numpy dtype's; None for what is none."""
    try:
        return None if dtype is None else str(np.dtype(dtype).name)
    except TypeError:
        return None


def _bfloat16() -> npt.DTypeLike:
    try:
        from ml_dtypes import bfloat16
    except ImportError as error:
        raise MissingExtraError("bfloat16", "bfloat16", "ml_dtypes") from error
    return bfloat16  # type: ignore[no-any-return]


def _int8(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=0)
    codes: npt.NDArray[np.float32] = np.rint(vectors * (INT8_LARGEST / np.where(largest > 0, largest, 1)))
    return codes.astype(np.int8)


def _binary(vectors: npt.NDArray[np.float32], bitorder: BitOrder) -> npt.NDArray[np.uint8]:
    dim = vectors.shape[-1]
    if dim % 8:
        raise ValueError(f"dtype binary: stores take multiples of 8 dimensions, the model has {dim}: take int8")
    return np.packbits(vectors > 0, axis=-1, bitorder=bitorder)
