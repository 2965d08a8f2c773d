"""A column of texts in Arrow into a column of vectors: what every engine that hands out Arrow tables is served by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from m2v_onnx.corpus.fields import texts_of
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.dtypes import VectorType

if TYPE_CHECKING:
    import pyarrow as pa

Batch = TypeVar("Batch", "pa.Table", "pa.RecordBatch")


def embed_table(
    model: OnnxStaticModel,
    table: Batch,
    *,
    column: str | Sequence[str] = "text",
    vector: str = "vector",
    dtype: VectorType = "float32",
) -> Batch:
    """Give an Arrow table, or a batch of one, a column of vectors.

    :param column: the column of the texts, or several that are joined by a space.
    :param vector: the name of the new column, a plain list of numbers: list<float> for float32.
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
    vectors = model.encode(texts_of(table, texts, None), dtype=dtype)
    return table.append_column(vector, list_array(vectors))


def list_array(vectors: npt.NDArray[Any]) -> "pa.Array":
    """Vectors as Arrow's plain lists, which every reader of Parquet knows.

    :param vectors: [rows, width]; bfloat16 becomes uint8 [rows, 2 * width], for Arrow has no such type.
    """
    import pyarrow as pa

    values = vectors.view(np.uint8) if vectors.dtype.name == "bfloat16" else vectors
    rows, width = values.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * width
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{rows:,} vectors of {width} numbers are too many for one Arrow array: pass smaller batches")
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.ascontiguousarray(values).reshape(-1)))
