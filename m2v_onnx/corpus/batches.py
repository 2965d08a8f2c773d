"""Tables as Arrow batches, wherever they are: files, folders, and tables in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.corpus.files import need_pyarrow, open_files, read_pieces

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """A table that is read batch by batch.

    :ivar name: for messages.
    :ivar schema: its columns.
    :ivar rows: how many there are; None where only reading tells.
    :ivar batches: read it, with no more rows a batch than asked for.
    """

    name: str
    schema: "pa.Schema"
    rows: int | None
    batches: Callable[[int], Iterator["pa.RecordBatch"]]


def open_table(source: Any) -> Table:
    """Find out what a source is.

    :param source: the path of a .parquet, .arrow, .feather, .jsonl or .csv file (the last two also .gz or .zst), of a
        folder of such files of one format, or a pattern; or a table of Arrow, pandas, Polars or DuckDB.
    :raises FileNotFoundError: when there is no such file.
    :raises ValueError: for a file of another format, or one that is damaged.
    :raises TypeError: for what is no table.
    :raises MissingExtraError: without pyarrow.
    """
    need_pyarrow()
    import pyarrow as pa

    if isinstance(source, (str, Path)):
        return _of_files(source)
    if type(source).__module__.partition(".")[0] == "pandas":
        table = pa.Table.from_pandas(source, preserve_index=False)
    elif isinstance(source, pa.Table) or hasattr(source, "__arrow_c_stream__"):
        table = pa.table(source)
    else:
        raise TypeError(
            f"expected a table, got {type(source).__name__}: pass a file's path, or a table of Arrow, pandas or Polars"
        )
    return Table("the table", table.schema, table.num_rows, lambda size: iter(table.to_batches(max_chunksize=size)))


def _of_files(source: str | Path) -> Table:
    files = open_files([source])
    schema = files[0].schema
    counts = [each.rows for each in files]

    def batches(size: int) -> "Iterator[pa.RecordBatch]":
        for file, piece in read_pieces(files, schema, size):
            for i, reason in piece.broken.items():
                raise ValueError(f"{file.where(piece.numbers[i])} {reason}: mend it, or take it out")
            yield piece.batch

    rows = None if None in counts else sum(each for each in counts if each is not None)
    return Table(str(source), schema, rows, batches)
