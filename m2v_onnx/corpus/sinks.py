"""Batches of a table, vectors among the columns, into an open file: Parquet, Arrow, JSON lines, or vectors alone."""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from m2v_onnx.corpus.fields import plain_value
from m2v_onnx.corpus.streams import is_stream
from m2v_onnx.corpus.writing import npy_writer
from m2v_onnx.vectors.batching import Task, Workers

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = {".parquet": "parquet", ".arrow": "ipc", ".feather": "ipc", ".npy": "npy", ".jsonl": "jsonl"}
"""Of tables with vectors, by a file's name."""

TABLES = (".parquet", ".arrow", ".feather")
"""Those of them that hold tables and nothing else."""

ROW_GROUP_BYTES = 16 << 20
"""Of a Parquet file, in memory. Small, because Milvus' import reads one row group at a time, and because two are in
memory while a file is written."""

LAST_GROUP_BYTES = 2 << 20
"""Of the last row groups, which are small, at least: nothing is left to embed while the very last one is written."""

LAST_GROUPS = 4
"""A row group ends too where this many of its size are all rows that are left."""

SAMPLED_ROWS = 4096
"""Rows whose values tell whether a column gets a dictionary."""

MOST_DISTINCT = 0.9
"""Share of distinct values among them, up to which a column gets one. Of keys and texts, which do not repeat, a
dictionary costs time and saves no bytes."""


def is_folder(output: str | Path) -> bool:
    """Whether an output is a folder of parts: one that is there, or a name without a suffix."""
    path = Path(output)
    if is_stream(path) or path.suffix in SUFFIXES:
        return False
    return path.is_dir() or str(output).endswith(("/", os.sep)) or not path.suffix


class Sink(Protocol):
    """What takes the batches of one file."""

    def write(self, batch: "pa.RecordBatch") -> None: ...

    def close(self) -> None:
        """Write what is left; the file is whole then, and still open."""


class ParquetSink:
    """Row groups of some 16 MB, the last ones smaller, each written by a thread while the next one is gathered. Vectors
    get no dictionary, no statistics and no compression: these cost time and save no bytes."""

    def __init__(self, file: BinaryIO, schema: "pa.Schema", vector: str, rows: int | None = None) -> None:
        """:param rows: that are expected, at most; None where nobody knows."""
        # By its name: bytes that go through Python's file object are copied once more.
        self._path, self._schema, self._vector = file.name, schema, vector
        self._left = math.inf if rows is None else rows
        self._writer: Any = None
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._thread, self._lock = Workers(1), Lock()
        self._running: Task[None] | None = None

    def write(self, batch: "pa.RecordBatch") -> None:
        self._waiting.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes
        self._left -= len(batch)
        is_near_the_end = LAST_GROUPS * self._rows >= self._left
        if self._bytes >= (min(LAST_GROUP_BYTES, ROW_GROUP_BYTES) if is_near_the_end else ROW_GROUP_BYTES):
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._waiting, self._rows, self._bytes = [], 0, 0
            self._wait()  # so there are never more than two in memory
            self._running = self._in_thread(partial(self._write_group, table))

    def _write_group(self, table: "pa.Table") -> None:
        self._open(table)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _open(self, first: "pa.Table") -> None:
        """:param first: rows that are written first: their values tell which columns get a dictionary."""
        from pyarrow import parquet as pq

        if self._writer is None:
            others = [path for path in _leaves(self._schema) if not path.startswith(f"{self._vector}.")]
            self._writer = pq.ParquetWriter(
                self._path,
                self._schema,
                use_dictionary=[path for path in others if path not in first.column_names or _repeats(first[path])],
                write_statistics=others,
                compression=dict.fromkeys(others, "snappy"),
            )

    def close(self) -> None:
        try:
            self._flush()
            self._wait()
        except BaseException:
            with suppress(Exception):  # the error before says more
                self._in_thread(self._close).result()
            raise
        self._in_thread(self._close).result()

    def _close(self) -> None:
        self._open(self._schema.empty_table())
        self._writer.close()

    def _in_thread(self, work: Callable[[], None]) -> "Task[None]":
        """Start some work with the writer, which is never closed while it writes, whenever Ctrl-C comes."""
        return self._thread.start(self._alone, work)

    def _alone(self, work: Callable[[], None]) -> None:
        # Ctrl-C in the middle of a thread's start leaves a pool with one thread more than it knows of.
        with self._lock:
            work()

    def _wait(self) -> None:
        """:raises OSError: what ended the work before, a full disk say."""
        if self._running is not None:
            self._running.result()
            self._running = None


def _repeats(column: "pa.ChunkedArray") -> bool:
    """Whether the first values of a column repeat, or nobody can tell."""
    import pyarrow as pa
    from pyarrow import compute

    values = column[:SAMPLED_ROWS]
    try:
        return bool(compute.count_distinct(values).as_py() <= MOST_DISTINCT * len(values))
    except pa.ArrowNotImplementedError:  # half floats, say
        return True


def _leaves(schema: "pa.Schema") -> list[str]:
    """The columns as Parquet names them, parts of nested ones too: "tags.list.element"."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    none = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), none)
    return [column.path for column in pq.ParquetFile(pa.BufferReader(none.getvalue())).schema]


class ArrowSink:
    def __init__(self, file: BinaryIO, schema: "pa.Schema") -> None:
        import pyarrow as pa

        self._writer = pa.ipc.new_file(file.name, schema)

    def write(self, batch: "pa.RecordBatch") -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class NpySink:
    """The vectors alone, [rows, width]."""

    def __init__(self, file: BinaryIO, vector: str, none: np.ndarray[Any, Any]) -> None:
        self._vector, self._none = vector, none
        self._write = npy_writer(file, none)

    def write(self, batch: "pa.RecordBatch") -> None:
        flat = batch.column(self._vector).flatten().to_numpy(zero_copy_only=False)
        self._write(flat.reshape(len(batch), *self._none.shape[1:]).astype(self._none.dtype, copy=False))

    def close(self) -> None:
        pass


class JsonSink:
    """An object a row; numbers of vectors as short as their type allows."""

    def __init__(self, file: BinaryIO, vector: str) -> None:
        self._file, self._vector = file, vector

    def write(self, batch: "pa.RecordBatch") -> None:
        others = batch.drop_columns([self._vector]).to_pylist() if batch.num_columns > 1 else [{}] * len(batch)
        name = json.dumps(self._vector, ensure_ascii=False)
        for row, vector in zip(others, batch.column(self._vector), strict=True):
            numbers = f"[{', '.join(map(str, vector.values.to_numpy()))}]" if vector.is_valid else "null"
            columns = "".join(
                f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(plain_value(value), ensure_ascii=False)}, "
                for key, value in row.items()
            )
            self._file.write(f"{{{columns}{name}: {numbers}}}\n".encode())

    def close(self) -> None:
        pass


@contextmanager
def open_sink(
    kind: str,
    file: BinaryIO,
    schema: "pa.Schema",
    vector: str,
    none: np.ndarray[Any, Any],
    rows: int | None = None,
) -> Iterator[Sink]:
    """Write a table into a file, which is whole when the context is left without an error.

    :param kind: a value of ``SUFFIXES``.
    :param none: no vectors, [0, width], of the type that is written.
    :param rows: that are expected, at most; None where nobody knows.
    """
    sink: Sink
    if kind == "parquet":
        sink = ParquetSink(file, schema, vector, rows)
    elif kind == "ipc":
        sink = ArrowSink(file, schema)
    else:
        sink = NpySink(file, vector, none) if kind == "npy" else JsonSink(file, vector)
    try:
        yield sink
        sink.close()
    except BaseException:
        with suppress(Exception):  # or pyarrow does so when it is garbage, and complains
            sink.close()
        raise
