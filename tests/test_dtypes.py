"""Vectors in the types that Milvus stores."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from m2v_onnx import Model2VecEmbeddingFunction, OnnxStaticModel
from m2v_onnx.errors import MissingExtraError
from m2v_onnx.vectors.dtypes import as_type
from tests.conftest import CORPUS, POTION_BUNDLE

WIDTHS = {"float32": (64, "float32"), "float16": (64, "float16"), "bfloat16": (64, "bfloat16"), "int8": (64, "int8"),
          "binary": (8, "uint8")}  # fmt: skip
ROUNDING = {"float32": 0.0, "float16": 2**-11, "bfloat16": 2**-8}
"""Half a unit in the last place, relative."""


@pytest.mark.parametrize("dtype", WIDTHS)
def test_shapes_and_types(potion: OnnxStaticModel, dtype: str) -> None:
    width, name = WIDTHS[dtype]
    many, one, none = (potion.encode(texts, dtype=dtype) for texts in (CORPUS, CORPUS[0], []))  # type: ignore[arg-type]
    assert (many.shape, one.shape, none.shape) == ((len(CORPUS), width), (width,), (0, width))
    assert {many.dtype.name, one.dtype.name, none.dtype.name} == {name}
    assert_near(many[:1], one[None], dtype)
    assert not potion.encode([""], dtype=dtype).any()  # type: ignore[arg-type]
    batches = list(potion.encode_iter(CORPUS, batch_size=3, dtype=dtype))  # type: ignore[arg-type]
    assert {batch.dtype.name for batch in batches} == {name}
    assert_near(np.concatenate(batches), many, dtype)


def assert_near(found: npt.NDArray[Any], wanted: npt.NDArray[Any], dtype: str) -> None:
    """Texts of other batches may be summed in another way, and round to the next value: one code, a bit a vector."""
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if dtype == "binary":
        assert np.unpackbits(found ^ wanted, axis=1).sum(axis=1).max() <= 1
    else:
        nearest = {"float32": 1e-6, "int8": 1}.get(dtype, 1e-2)
        assert np.abs(found.astype(np.float32) - wanted.astype(np.float32)).max() <= nearest


@pytest.mark.parametrize("dtype", ROUNDING)
def test_floats_are_rounded(potion: OnnxStaticModel, dtype: str) -> None:
    exact = potion.encode(CORPUS)
    found = potion.encode(CORPUS, dtype=dtype).astype(np.float32)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, exact, rtol=ROUNDING[dtype], atol=1e-7)


def test_int8_keeps_directions(potion: OnnxStaticModel) -> None:
    exact = potion.encode(CORPUS)
    codes = potion.encode(CORPUS, dtype="int8")
    np.testing.assert_array_equal(np.abs(codes).max(axis=1), 127)
    scaled = exact * (127 / np.abs(exact).max(axis=1, keepdims=True))
    np.testing.assert_allclose(codes, scaled, atol=0.5001)
    np.testing.assert_array_equal(as_type(-exact, "int8"), -codes)


def test_binary_has_a_bit_a_dimension(potion: OnnxStaticModel) -> None:
    packed = potion.encode(CORPUS, dtype="binary")
    np.testing.assert_array_equal(np.unpackbits(packed, axis=1), potion.encode(CORPUS) > 0)


def test_numpy_types_are_taken(potion: OnnxStaticModel) -> None:
    assert potion.encode(["a"], dtype=np.float16).dtype == np.float16  # type: ignore[arg-type]
    assert potion.encode(["a"], dtype=np.dtype("int8")).dtype == np.int8  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float64", "uint8", "int4", None, 7, np.float64])
def test_other_types_are_refused(potion: OnnxStaticModel, dtype: object) -> None:
    with pytest.raises(ValueError, match=r"dtype: expected one of float32, float16, bfloat16, int8, binary"):
        potion.encode(["a"], dtype=dtype)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype"):
        potion.encode_iter(["a"], dtype=dtype)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dtype"):
        Model2VecEmbeddingFunction(POTION_BUNDLE, dtype=dtype)  # type: ignore[arg-type]


def test_binary_needs_whole_bytes() -> None:
    with pytest.raises(ValueError, match="multiples of 8 dimensions, the model has 12"):
        as_type(np.zeros((3, 12), np.float32), "binary")


def test_bfloat16_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(MissingExtraError, match=r"ml_dtypes: pip install 'm2v-onnx\[bfloat16\]'"):
        as_type(np.zeros((3, 8), np.float32), "bfloat16")


@pytest.mark.parametrize("dtype", WIDTHS)
def test_pymilvus_takes_them(dtype: str) -> None:
    """Rows of an insert, through pymilvus' own conversion."""
    entity_helper = pytest.importorskip("pymilvus.client.entity_helper")
    from pymilvus import DataType

    kinds = {"float16": DataType.FLOAT16_VECTOR, "bfloat16": DataType.BFLOAT16_VECTOR, "int8": DataType.INT8_VECTOR}
    ef = Model2VecEmbeddingFunction(POTION_BUNDLE, dtype=dtype)  # type: ignore[arg-type]
    vectors = ef.encode_documents(CORPUS[:3])
    assert isinstance(vectors, list)
    for vector in vectors:
        if dtype in kinds:
            assert entity_helper._convert_to_vector_bytes(vector, kinds[dtype]) == vector.tobytes()
        elif dtype == "binary":
            assert entity_helper._normalize_byte_vector_row(DataType.BINARY_VECTOR, vector) == vector.tobytes()


def test_order_of_bits(potion: OnnxStaticModel) -> None:
    """The first dimension in a byte's lowest bit, for sqlite-vec, one text or many, at once or as a stream."""
    positive = potion.encode(CORPUS) > 0
    packed = potion.encode(CORPUS, dtype="binary", bitorder="little")
    np.testing.assert_array_equal(np.unpackbits(packed, axis=1, bitorder="little"), positive)
    np.testing.assert_array_equal(packed & 1, positive[:, ::8])
    streamed = potion.encode_iter(CORPUS, batch_size=3, dtype="binary", bitorder="little")
    assert_near(np.concatenate(list(streamed)), packed, "binary")
    assert_near(potion.encode(CORPUS[0], dtype="binary", bitorder="little")[None], packed[:1], "binary")
    many = potion.encode(CORPUS * (300 // len(CORPUS) + 1), dtype="binary", bitorder="little")
    assert_near(many[: len(packed)], packed, "binary")


def test_orders_that_are_refused(potion: OnnxStaticModel) -> None:
    with pytest.raises(ValueError, match="bitorder: expected one of big, little, got 'middle'"):
        potion.encode(["a"], dtype="binary", bitorder="middle")  # type: ignore[arg-type]
    for encode in (potion.encode, potion.encode_iter):
        with pytest.raises(ValueError, match="bitorder 'little' is for dtype binary, got dtype 'int8'"):
            encode(["a"], dtype="int8", bitorder="little")
