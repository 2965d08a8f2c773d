"""Tables as Arrow batches, wherever they are: files, folders, and tables in memory."""

from collections.abc import Callable, Iterator, Sequence
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
    kind = formats.pop()
    try:
        if kind in ("json", "csv"):
            schema, rows, batches = _of_json(files) if kind == "json" else _of_csv(files)
        else:
            found = dataset.dataset([str(each) for each in files], format=kind)
            rows = found.count_rows() if kind == "parquet" else None
            schema = found.schema

            def batches(size: int) -> "Iterator[pa.RecordBatch]":
                # By default Arrow reads sixteen batches of four files ahead: memory that grows with row groups.
                return found.to_batches(batch_size=size, batch_readahead=2, fragment_readahead=1)  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: it cannot be read ({error}): write it again") from error

    def checked(size: int) -> "Iterator[pa.RecordBatch]":
        try:
            yield from batches(size)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: it is damaged, or its rows differ ({error}): write it again") from error

    return Table(str(path), schema, rows, checked)


def _of_json(files: Sequence[Path]) -> "tuple[pa.Schema, None, Callable[[int], Iterator[pa.RecordBatch]]]":
    """JSON lines. Columns are those of the first block: one that comes later is an error, not left out."""
    import pyarrow as pa
    from pyarrow import json

    schema = json.open_json(pa.input_stream(str(files[0]))).schema
    strict = json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")

    def batches(size: int) -> "Iterator[pa.RecordBatch]":
        for each in files:
            for batch in json.open_json(pa.input_stream(str(each)), parse_options=strict):
                for begin in range(0, batch.num_rows, size):
                    yield batch.slice(begin, size)

    return schema, None, batches


def _of_csv(files: Sequence[Path]) -> "tuple[pa.Schema, None, Callable[[int], Iterator[pa.RecordBatch]]]":
    """CSV. A column of whole numbers stays text where a number of the first block would be written otherwise: 007 say.
    Behind the first block such a number is an error.
    """
    import pyarrow as pa
    from pyarrow import csv

    def opened(path: Path, types: "dict[str, pa.DataType]") -> "csv.CSVStreamingReader":
        return csv.open_csv(pa.input_stream(str(path)), convert_options=csv.ConvertOptions(column_types=types))

    schema = opened(files[0], {}).schema
    whole_numbers = {field.name: pa.string() for field in schema if pa.types.is_integer(field.type)}
    first = opened(files[0], whole_numbers).read_next_batch()
    texts = {name: kind for name, kind in whole_numbers.items() if _as_numbers(first.column(name)) is not None}
    stay_text = whole_numbers.keys() - texts.keys()
    schema = pa.schema([(field.name, pa.string() if field.name in stay_text else field.type) for field in schema])

    def batches(size: int) -> "Iterator[pa.RecordBatch]":
        for each in files:
            for batch in opened(each, {f.name: f.type for f in schema} | texts):
                columns = []
                for name, column in zip(schema.names, batch.columns, strict=True):
                    numbers = _as_numbers(column) if name in texts else column
                    if numbers is None:
                        raise ValueError(
                            f"{each}: column {name!r} is of whole numbers at the begin, and has others later, or such"
                            " that begin with 0: write the table as Parquet, where columns have types"
                        )
                    columns.append(numbers)
                whole = pa.record_batch(columns, schema=schema)
                for begin in range(0, whole.num_rows, size):
                    yield whole.slice(begin, size)

    return schema, None, batches


def _as_numbers(column: "pa.Array") -> "pa.Array | None":
    """None where one is written otherwise than the number: 007 say."""
    import pyarrow as pa
    from pyarrow import compute

    column = compute.if_else(compute.equal(column, ""), pa.scalar(None, pa.string()), column)
    try:
        numbers = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    same = compute.all(compute.equal(numbers.cast(pa.string()), column)).as_py()
    return numbers if same in (True, None) else None


def _format(path: Path) -> str | None:
    """None for a file of no format that is read."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] == [COMPRESSION]
    inner = suffixes[:-1] if compressed else suffixes
    found = FORMATS.get(inner[-1]) if inner else None
    return found if found in ("json", "csv") or not compressed else None
