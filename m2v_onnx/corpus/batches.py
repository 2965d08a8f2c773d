"""Tables as Arrow batches, wherever they are: files, folders, and tables in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.errors import MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = {
    ".parquet": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
}
"""Arrow's name of the format, by a file's name."""

COMPRESSION = ".gz"
"""Of .jsonl and .csv: the one that Arrow's datasets know by a file's name."""


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

    :param source: the path of a .parquet, .arrow, .feather, .jsonl or .csv file (the last two also .gz), of a
        folder of such files of one format; or a table of Arrow, pandas, Polars or DuckDB.
    :raises FileNotFoundError: when there is no such file.
    :raises ValueError: for a file of another format, or one that is damaged.
    :raises TypeError: for what is no table.
    :raises MissingExtraError: without pyarrow.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("a table", "milvus", "pyarrow") from error
    if isinstance(source, (str, Path)):
        return _of_files(Path(source))
    if type(source).__module__.partition(".")[0] == "pandas":
        table = pa.Table.from_pandas(source, preserve_index=False)
    elif isinstance(source, pa.Table) or hasattr(source, "__arrow_c_stream__"):
        table = pa.table(source)
    else:
        raise TypeError(
            f"expected a table, got {type(source).__name__}: pass a file's path, or a table of Arrow, pandas or Polars"
        )
    return Table("the table", table.schema, table.num_rows, lambda size: iter(table.to_batches(max_chunksize=size)))


def _of_files(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import dataset

    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}: give a table that is there")
    files = sorted(each for each in path.rglob("*") if _format(each)) if path.is_dir() else [path]
    formats = {_format(each) for each in files}
    if len(formats) != 1 or None in formats:
        got = ", ".join(sorted(map(str, formats - {None}))) or ("no such file" if path.is_dir() else path.name)
        raise ValueError(f"{path}: expected files of one format, {', '.join(FORMATS)}, .jsonl.gz or .csv.gz, got {got}")
    try:
        found = dataset.dataset([str(each) for each in files], format=formats.pop())
        rows = found.count_rows() if isinstance(found.format, dataset.ParquetFileFormat) else None
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: it cannot be read ({error}): write it again") from error

    def batches(size: int) -> "Iterator[pa.RecordBatch]":
        try:
            # By default Arrow reads sixteen batches of four files ahead, which is memory that grows with row groups.
            yield from found.to_batches(batch_size=size, batch_readahead=2, fragment_readahead=1)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: it is damaged, or its rows differ ({error}): write it again") from error

    return Table(str(path), found.schema, rows, batches)


def _format(path: Path) -> str | None:
    """None for a file of no format that is read."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [COMPRESSION]
    inner = suffixes[:-1] if compressed else suffixes
    found = FORMATS.get(inner[-1]) if inner else None
    return found if found in ("json", "csv") or not compressed else None
