"""Batches of a table, vectors among the columns, into an open file: Parquet, Arrow, JSON lines, or vectors alone."""

import json
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
"""Of a Parquet file, in memory. Small, because Milvus' import reads one row group at a time, because two are in memory
while a file is written, and because nothing is left to embed while the last one is written."""


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
    """Row groups of some 16 MB, each written by a thread while the next one is gathered. Vectors get no dictionary, no
    statistics and no compression: these cost time and save no bytes."""

    def __init__(self, file: BinaryIO, schema: "pa.Schema", vector: str) -> None:
        from pyarrow import parquet as pq

        others = [path for path in _leaves(schema) if not path.startswith(f"{vector}.")]
        # By its name: bytes that go through Python's file object are copied once more.
        self._writer = pq.ParquetWriter(
            file.name,
            schema,
            use_dictionary=others,
            write_statistics=others,
            compression=dict.fromkeys(others, "snappy"),
        )
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = 0
        self._thread, self._lock = Workers(1), Lock()
        self._running: Task[None] | None = None

    def write(self, batch: "pa.RecordBatch") -> None:
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._waiting, self._bytes = [], 0
            self._wait()  # so there are never more than two in memory
            self._running = self._in_thread(
                partial(self._writer.write_table, table, row_group_size=max(1, table.num_rows))
            )

    def close(self) -> None:
        try:
            self._flush()
            self._wait()
        except BaseException:
            with suppress(Exception):  # the error before says more
                self._in_thread(self._writer.close).result()
            raise
        self._in_thread(self._writer.close).result()

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
    kind: str, file: BinaryIO, schema: "pa.Schema", vector: str, none: np.ndarray[Any, Any]
) -> Iterator[Sink]:
    """Write a table into a file, which is whole when the context is left without an error.

    :param kind: a value of ``SUFFIXES``.
    :param none: no vectors, [0, width], of the type that is written.
    """
    sink: Sink
    if kind == "parquet":
        sink = ParquetSink(file, schema, vector)
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
