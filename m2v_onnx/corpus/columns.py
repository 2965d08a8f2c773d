"""A column of texts in Arrow into a column of vectors: what every engine that hands out Arrow tables is served by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from m2v_onnx.corpus.fields import texts_of
from m2v_onnx.errors import InvalidTextError
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.dtypes import BitOrder, VectorType

if TYPE_CHECKING:
    import pyarrow as pa

Layout = Literal["list", "milvus", "fixed"]

Batch = TypeVar("Batch", "pa.Table", "pa.RecordBatch")


def embed_table(
    model: OnnxStaticModel,
    table: Batch,
    *,
    column: str | Sequence[str] = "text",
    vector: str = "vector",
    dtype: VectorType = "float32",
    bitorder: BitOrder = "big",
) -> Batch:
    """Give an Arrow table, or a batch of one, a column of vectors.

    :param column: the column of the texts, or several that are joined by a space.
    :param vector: the name of the new column, a plain list of numbers: list<float> for float32.
    :param dtype, bitorder: of the vectors, as ``OnnxStaticModel.encode``.
    :return: the table's columns and the new one, rows in their order. Zeros for a text without tokens.
    :raises ValueError: where there is no such column, or the new one's name is taken.
    :raises InvalidTextError: for a row without a text.
    """
    texts = (column,) if isinstance(column, str) else tuple(column)
    names = table.schema.names
    for name in texts:
        if name not in names:
            raise ValueError(f"column: there is no {name!r}: the table has {', '.join(map(repr, names))}")
    if vector in names:
        raise ValueError(f"vector: the table has a column {vector!r} already: give another name")
    vectors = model.encode(texts_of(table, texts, None), dtype=dtype, bitorder=bitorder)
    return table.append_column(vector, list_array(vectors))


def embed_array(
    model: OnnxStaticModel,
    texts: "pa.Array | pa.ChunkedArray",
    *,
    dtype: VectorType = "float32",
    bitorder: BitOrder = "big",
    layout: Layout = "list",
) -> "pa.Array":
    """Make the vectors of an Arrow array of texts.

    :param texts: string, large_string, string_view or a dictionary of them, [N]; slices and chunks too.
    :param dtype, bitorder: of the vectors, as ``OnnxStaticModel.encode``.
    :param layout: what a vector is in Arrow, as ``list_array`` says.
    :return: an array of lists [N]. Null for a null, zeros for a text without tokens.
    :raises TypeError: for an array of something else.
    :raises InvalidTextError: for bytes that are no UTF-8.
    """
    import pyarrow as pa
    from pyarrow import compute

    whole = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    kind = whole.type.value_type if pa.types.is_dictionary(whole.type) else whole.type
    if kind not in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
        raise TypeError(f"expected an array of texts, got {texts.type}: pass the column of the texts")
    whole = whole.cast(pa.large_string())  # not all functions take a string_view
    missing = compute.is_null(whole).to_numpy(zero_copy_only=False) if whole.null_count else None
    vectors = model.encode(strings(whole.drop_null()), dtype=dtype, bitorder=bitorder)
    if missing is None:
        return list_array(vectors, layout)
    spread = np.zeros((len(missing), vectors.shape[1]), vectors.dtype)
    spread[~missing] = vectors
    return list_array(spread, layout, missing)


def strings(texts: "pa.Array") -> list[str]:
    """Texts as Python's own.

    :param texts: without nulls.
    :raises InvalidTextError: for bytes that are no UTF-8, which Arrow does not look for; with the text's number.
    """
    import pyarrow as pa

    try:
        return texts.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        for i, content in enumerate(texts.cast(pa.large_binary()).to_pylist()):
            try:
                content.decode()
            except UnicodeDecodeError as error:
                raise InvalidTextError(f"is no UTF-8 ({error.reason}): convert it", number=i) from error
        raise


def list_array(
    vectors: npt.NDArray[Any], layout: Layout = "list", missing: "npt.NDArray[np.bool_] | None" = None
) -> "pa.Array":
    """Vectors as Arrow's lists.

    :param vectors: [rows, width]; bfloat16 becomes uint8 [rows, 2 * width], for Arrow has no such type.
    :param layout: "list", plain lists, which every reader of Parquet knows; "milvus", the same, and float16 as the
        bytes that Milvus' import takes; "fixed", lists of a fixed size, which DuckDB, Polars and LanceDB take for
        vectors.
    :param missing: [rows], the vectors that are null; None for none of them.
    """
    import pyarrow as pa

    as_bytes = vectors.dtype.name == "bfloat16" or (layout == "milvus" and vectors.dtype == np.float16)
    values = np.ascontiguousarray(vectors).view(np.uint8) if as_bytes else vectors
    rows, width = values.shape
    if layout == "fixed":
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, width, mask=None if missing is None else pa.array(missing))
    if missing is None:
        offsets = np.arange(rows + 1, dtype=np.int64) * width
    else:
        offsets = np.concatenate([[0], np.cumsum(~missing, dtype=np.int64)]) * width
        values = values[~missing]
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{rows:,} vectors of {width} numbers are too many for one Arrow array: pass smaller batches")
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(np.ascontiguousarray(values).reshape(-1)),
        mask=None if missing is None else pa.array(missing),
    )


def are_zeros(vectors: npt.NDArray[Any]) -> "npt.NDArray[np.bool_]":
    """Which vectors have nothing but zeros: those of texts without tokens.

    :param vectors: [rows, width].
    :return: [rows].
    """
    # By the first number few are left. To look at all numbers takes ten times as long.
    zeros: npt.NDArray[np.bool_] = vectors[:, 0] == 0
    zeros[zeros] = ~vectors[zeros].any(axis=1)
    return zeros


def check_vector_column(schema: "pa.Schema", name: str, none: npt.NDArray[Any], dtype: VectorType) -> None:
    """Look whether a column may have the vectors that are wanted; how many numbers a list has, its rows tell.

    :param none: no vectors, [0, width], of the type that is wanted.
    :raises ValueError: where it has not.
    """
    import pyarrow as pa

    names = schema.names
    if names.count(name) != 1:
        raise ValueError(f"vector_column: expected one column {name!r}: the table has {', '.join(map(repr, names))}")
    kind, is_ = schema.field(name).type, pa.types
    number = kind.value_type if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind) else None
    if number is None or not _fits(number, none):
        raise ValueError(
            f"vector_column: expected vectors of {dtype} in {name!r}, got {kind}: give the --dtype that `embed` wrote"
            " them with, or index the texts"
        )


def vectors_of(column: "pa.Array", name: str, none: npt.NDArray[Any], first: int) -> npt.NDArray[Any]:
    """The vectors of Arrow's lists, as ``list_array`` and `embed` make them, JSON's too.

    :param column: of a type that ``check_vector_column`` lets pass.
    :param none: no vectors, [0, width], of the type that is wanted.
    :param first: the number of the column's first row, for the error.
    :return: [rows, width].
    :raises ValueError: for a row without a vector, or with one of another width, and for numbers that do not fit.
    """
    import pyarrow as pa
    from pyarrow import compute

    if column.null_count:
        row = first + compute.index(column.is_null(), True).as_py()
        raise ValueError(f"row {row} has no vector in {name!r}: leave such rows out of the table")
    width = none.shape[1]
    as_bytes = _as_bytes(column.type.value_type, none)
    numbers = width * none.dtype.itemsize if as_bytes else width
    lengths = compute.list_value_length(column)
    others = compute.index(compute.not_equal(lengths, numbers), True).as_py()
    if others >= 0:
        raise ValueError(
            f"row {first + others} has {lengths[others].as_py():,} numbers in {name!r}, and {numbers:,} were expected:"
            " take the model and the --dtype that the vectors were made with"
        )
    flat = column.flatten()
    if flat.null_count:
        row = first + compute.index(flat.is_null(), True).as_py() // numbers
        raise ValueError(f"row {row} has a vector with a missing number in {name!r}: make it again")
    if as_bytes:
        content: npt.NDArray[Any] = flat.to_numpy()
        return content.view(none.dtype).reshape(len(column), width)
    if pa.types.is_integer(flat.type):
        try:
            flat = flat.cast(pa.from_numpy_dtype(none.dtype))
        except pa.ArrowInvalid as error:
            raise ValueError(f"rows from {first} on: {name!r} has numbers that are no {none.dtype}: {error}") from error
    values: npt.NDArray[Any] = flat.to_numpy(zero_copy_only=False).astype(none.dtype, copy=False)
    return values.reshape(len(column), width)


def _fits(number: "pa.DataType", none: npt.NDArray[Any]) -> bool:
    """Whether numbers of an Arrow type can be those of vectors; JSON has only the widest types."""
    import pyarrow as pa

    if _as_bytes(number, none):
        return True
    is_floating = none.dtype.kind == "f"
    return (pa.types.is_floating(number) and is_floating) or (pa.types.is_integer(number) and none.dtype.kind in "iu")


def _as_bytes(number: "pa.DataType", none: npt.NDArray[Any]) -> bool:
    """Whether vectors are stored as bytes, two a number."""
    import pyarrow as pa

    return bool(number == pa.uint8() and none.dtype.itemsize == 2)
