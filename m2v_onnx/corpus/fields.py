"""From a table's columns to a collection's fields: which column is what, and what of it Milvus stores."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from m2v_onnx.errors import InvalidTextError

if TYPE_CHECKING:
    import pyarrow as pa

VARCHAR_BYTES = 65_535
"""The longest VARCHAR of Milvus, in bytes of UTF-8."""

AUTOMATIC_KEY = "pk"
"""The key's field where the table has no key and Milvus makes one."""

FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are for.

    :ivar text: those whose texts are embedded, joined by a space.
    :ivar key: the primary key; None for one that Milvus makes.
    :ivar types: each column that is stored, and the name of its type in Milvus.
    """

    text: tuple[str, ...]
    key: str | None
    types: dict[str, str]


def choose_columns(
    schema: "pa.Schema",
    *,
    text: str | Sequence[str] | None,
    key: str | None,
    columns: Sequence[str] | None,
    vector: str,
) -> Columns:
    """Find out which columns are there, and what Milvus makes of them.

    :param text: a column, or several; None where no text is embedded.
    :param key: the column of the primary key; None for ``id``, if there is such a column.
    :param columns: those that are stored besides the key; None for all.
    :param vector: the name of the vector's field, which no column may have.
    :raises ValueError: for a column that is not there, or that Milvus cannot store.
    """
    names = [*schema.names]
    texts = (text,) if isinstance(text, str) else tuple(text or ())
    key = key if key is not None else ("id" if "id" in names else None)
    stored = [name for name in names if columns is None or name in columns or name == key]
    for wanted, option in ((texts, "text"), ((key,) if key else (), "key"), (columns or (), "columns")):
        for name in wanted:
            if name not in names:
                raise ValueError(f"{option}: there is no column {name!r}: the table has {', '.join(map(repr, names))}")
            if names.count(name) > 1:
                raise ValueError(f"{option}: the table has the column {name!r} more than once: rename one of them")
    if not texts and text is not None:
        raise ValueError("text: expected a column's name, got none")
    types = {name: milvus_type(name, schema.field(name).type) for name in stored}
    for taken in (vector, *((AUTOMATIC_KEY,) if key is None else ())):
        if taken in types:
            raise ValueError(
                f"the column {taken!r} has the name of a field that is made: name the columns without it (--columns),"
                " rename it, or give --vector-column if it has vectors"
            )
    for name in texts:
        if milvus_type(name, schema.field(name).type) != "VARCHAR":
            raise ValueError(f"text: expected a column of texts, got {schema.field(name).type} in {name!r}")
    if key is not None and types[key] not in ("VARCHAR", *_INTEGERS):
        raise ValueError(f"key: expected integers or texts, got {schema.field(key).type} in {key!r}: give another key")
    if key is not None:
        types[key] = "VARCHAR" if types[key] == "VARCHAR" else "INT64"
    return Columns(texts, key, types)


def texts_of(batch: "pa.RecordBatch | pa.Table", names: Sequence[str], first: int | None) -> "pa.Array":
    """The texts that are embedded.

    :param first: the number of the batch's first row, for the error; None where nobody knows.
    :return: large_string [rows].
    :raises InvalidTextError: for a row without a text.
    """
    import pyarrow as pa
    from pyarrow import compute as pc

    parts = [pc.cast(batch.column(name), pa.large_string()) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part.null_count:
            at = pc.index(part.is_null(), True).as_py()
            row = f"row {at} of a batch" if first is None else f"row {first + at}"
            raise InvalidTextError(f"{row} has no {name!r}: fill it, or leave such rows out of the table")
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, pa.scalar(" ", pa.large_string()))


def stored_rows(batch: "pa.RecordBatch", columns: Columns, first: int) -> list[dict[str, Any]]:
    """A batch as pymilvus takes it, a dict a row.

    :param first: the number of the batch's first row, for the error.
    :raises ValueError: for a key that is missing, and for a text that is too long for Milvus.
    """
    arrays = [_stored(batch.column(name), name, type_, first) for name, type_ in columns.types.items()]
    if columns.key is not None:
        keys = arrays[[*columns.types].index(columns.key)]
        missing = next((i for i, value in enumerate(keys) if value is None), None)
        if missing is not None:
            raise ValueError(f"row {first + missing} has no key {columns.key!r}: fill it, or give another key")
    if not arrays:
        return [{} for _ in range(len(batch))]
    return [dict(zip(columns.types, row, strict=True)) for row in zip(*arrays, strict=True)]


def _stored(column: "pa.Array", name: str, type_: str, first: int) -> list[Any]:
    import pyarrow as pa
    from pyarrow import compute as pc

    if type_ != "VARCHAR":
        try:  # a number of 64 bits without a sign may be too large
            values: list[Any] = (pc.cast(column, pa.int64()) if type_ == "INT64" else column).to_pylist()
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"rows from {first} on: Milvus stores integers to 2**63 - 1, in {name!r}: {error}"
            ) from error
        return [plain_value(value) for value in values] if type_ == "JSON" else values
    texts = pc.cast(column, pa.large_string())
    check_length(texts, name, first)
    return texts.to_pylist()  # type: ignore[no-any-return]


def check_length(texts: "pa.Array", name: str, first: int) -> None:
    """:param first: the number of the first row, for the error.
    :raises ValueError: for a text that is too long for Milvus.
    """
    from pyarrow import compute as pc

    lengths = pc.binary_length(texts)
    longest = pc.max(lengths).as_py() or 0
    if longest > VARCHAR_BYTES:
        row = first + pc.index(lengths, longest).as_py()
        raise ValueError(
            f"row {row} has {longest:,} bytes in {name!r}, and Milvus stores at most {VARCHAR_BYTES:,}: cut the text,"
            " or name the columns to store by --columns"
        )


def plain_value(value: Any) -> Any:
    """What JSON has no type for, dates say, as texts."""
    if isinstance(value, dict):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


_INTEGERS = ("INT8", "INT16", "INT32", "INT64")


def milvus_type(name: str, arrow: "pa.DataType") -> str:
    """The name of a type of Milvus. :raises ValueError: for a column that Milvus cannot store."""
    import pyarrow as pa

    if not FIELD_NAME.fullmatch(name):
        raise ValueError(
            f"the column {name!r}: Milvus takes letters, digits and _ in a field's name: rename it, or name the columns"
            " to store by --columns"
        )
    kind = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
    if kind in _plain_types():
        return _plain_types()[kind]
    is_ = pa.types
    if is_.is_nested(kind):
        return "JSON"
    if is_.is_temporal(kind) or is_.is_decimal(kind):
        return "VARCHAR"
    raise ValueError(
        f"the column {name!r} is {arrow}, which Milvus cannot store: name the columns to store by --columns"
    )


def _plain_types() -> "dict[pa.DataType, str]":
    import pyarrow as pa

    return {
        pa.bool_(): "BOOL",
        pa.int8(): "INT8",
        pa.int16(): "INT16",
        pa.int32(): "INT32",
        pa.int64(): "INT64",
        pa.uint8(): "INT16",
        pa.uint16(): "INT32",
        pa.uint32(): "INT64",
        pa.uint64(): "INT64",
        pa.float16(): "FLOAT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.string(): "VARCHAR",
        pa.large_string(): "VARCHAR",
        pa.string_view(): "VARCHAR",
        pa.null(): "VARCHAR",
    }
