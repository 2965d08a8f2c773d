"""Columns in types that every reader of Parquet knows, Milvus' import among them."""

import json
from typing import TYPE_CHECKING

from m2v_onnx.corpus.columns import Layout
from m2v_onnx.corpus.fields import check_length, milvus_type, plain_value

if TYPE_CHECKING:
    import pyarrow as pa


def plain_schema(schema: "pa.Schema", layout: Layout, key: str | None = None) -> "pa.Schema":
    """The types that a table's columns are written in.

    :param layout: with "milvus" the types that its import takes: texts, numbers, and JSON for lists and structs.
    :param key: the column of Milvus' primary key, whose integers have 64 bits.
    :raises ValueError: for a column that Milvus cannot store, where its layout is asked for.
    """
    import pyarrow as pa

    if layout == "milvus":
        types = {each.name: _of_milvus(each) for each in schema}
        if key is not None and types[key] != pa.string():
            types[key] = pa.int64()
        return pa.schema(types)
    return pa.schema([pa.field(each.name, _plain(each.type)) for each in schema])


def plain_batch(batch: "pa.RecordBatch", schema: "pa.Schema", layout: Layout, first: int) -> "pa.RecordBatch":
    """The columns of a batch in those types.

    :param first: the number of the first row, for the error.
    :raises ValueError: for a text that is too long for Milvus, and for a value that the type has no place for.
    """
    import pyarrow as pa

    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        nested = pa.types.is_nested(column.type) and not pa.types.is_dictionary(column.type)
        if layout == "milvus" and nested:
            values = [None if value is None else json.dumps(plain_value(value)) for value in column.to_pylist()]
            column = pa.array(values, pa.string())
        columns.append(_cast(column, field.type))
        if layout == "milvus" and field.type == pa.string():
            check_length(columns[-1], field.name, first)
    return pa.record_batch(columns, schema=schema)


def _cast(column: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_run_end_encoded(column.type):
        from pyarrow import compute

        column = compute.run_end_decode(column)
    return column if column.type.equals(kind) else column.cast(kind)


def _plain(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    is_ = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if is_.is_dictionary(kind) or is_.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    if is_.is_large_string(kind) or is_.is_string_view(kind) or is_.is_null(kind):
        return pa.string()
    if is_.is_large_binary(kind) or is_.is_binary_view(kind):
        return pa.binary()
    if is_.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    if is_.is_list(kind) or is_.is_large_list(kind) or is_.is_list_view(kind) or is_.is_large_list_view(kind):
        return pa.list_(_plain(kind.value_type))
    if is_.is_struct(kind):
        return pa.struct([pa.field(each.name, _plain(each.type)) for each in kind])
    return kind


def _of_milvus(field: "pa.Field") -> "pa.DataType":
    import pyarrow as pa

    return {
        "BOOL": pa.bool_(),
        "INT8": pa.int8(),
        "INT16": pa.int16(),
        "INT32": pa.int32(),
        "INT64": pa.int64(),
        "FLOAT": pa.float32(),
        "DOUBLE": pa.float64(),
        "VARCHAR": pa.string(),
        "JSON": pa.string(),
    }[milvus_type(field.name, field.type)]
