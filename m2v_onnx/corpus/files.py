"""Files of tables: which they are, and how each format is read piece by piece, from any row on.

A piece has every row of its part of a file. A row that could not be read, a broken line say, is in it too, as nulls,
with the reason beside it: whoever reads decides what becomes of it, and rows are counted alike in every case.
"""

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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

LINES = ("json", "csv")
"""Formats that may be compressed as a whole, and whose types are guessed from their first rows."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Arrow's name, by the end of a file's name."""

PIECE_BYTES = 16 << 20
"""Of a piece, where rows are large: then it has fewer rows than asked for."""


@dataclass(frozen=True)
class Piece:
    """Some rows of a file.

    :ivar batch: all of them; nulls where one could not be read.
    :ivar numbers: of each row: its line, from 1, of JSON lines, and its row, from 0, of others.
    :ivar broken: the rows of the batch that could not be read, and why.
    :ivar position: bytes of the file that are read, before they are decompressed; 0 where nobody asks.
    """

    batch: "pa.RecordBatch"
    numbers: Sequence[int]
    broken: Mapping[int, str] = field(default_factory=dict)
    position: int = 0

    @property
    def weight(self) -> int:
        """Bytes in memory."""
        import pyarrow as pa

        try:
            return int(self.batch.nbytes)
        except (
            pa.ArrowTypeError
        ):  # older versions cannot tell of a string_view; this counts what a slice leaves out too
            return int(self.batch.get_total_buffer_size())

    def rows(self, begin: int, end: int) -> "Piece":
        """Some of its rows."""
        broken = {i - begin: reason for i, reason in self.broken.items() if begin <= i < end}
        return Piece(self.batch.slice(begin, end - begin), self.numbers[begin:end], broken, self.position)


@dataclass(frozen=True)
class File:
    """A file that can be read piece by piece.

    :ivar schema: its columns.
    :ivar rows: how many it has; None where only reading tells.
    :ivar unit: what its numbers count, "row" or "line".
    """

    path: Path
    schema: "pa.Schema"
    rows: int | None
    unit: str
    _pieces: Callable[[int, Sequence[str], int], Iterator[Piece]]

    def pieces(self, size: int, columns: Sequence[str], skip: int = 0) -> Iterator[Piece]:
        """Read it, from any row on.

        :param size: rows a piece, at most.
        :param columns: those that are read; the file may have others.
        :param skip: rows to leave out at the begin, broken ones counted.
        :raises ValueError: when it is damaged.
        """
        import pyarrow as pa

        try:
            for piece in self._pieces(size, columns, skip):
                yield from _cut(piece, size)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{self.path}: it is damaged, or its rows differ ({error}): write it again") from error
        except OSError as error:
            if error.errno is not None:  # the disk's, not the data's
                raise
            raise ValueError(f"{self.path}: it is truncated or damaged ({error}): copy it again") from error

    def where(self, number: int) -> str:
        return f"{self.path}, {self.unit} {number}"


def need_pyarrow() -> None:
    """:raises MissingExtraError: without it."""
    try:
        import pyarrow  # noqa: F401 - to tell now
    except ImportError as error:
        raise MissingExtraError("a table", "arrow", "pyarrow") from error


def find_files(sources: Iterable[str | Path]) -> list[Path]:
    """The files that are meant.

    :param sources: files, folders, in which all files of tables are taken, and patterns as ``parts/*.parquet``.
    :return: in the order of the sources; those of a folder or a pattern by name.
    :raises FileNotFoundError: for a source that is not there, and a pattern that fits nothing.
    :raises ValueError: where files are no tables, or of more than one format.
    """
    files: list[Path] = []
    sources = [*sources]
    for source in sources:
        path = Path(source)
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if format_of(each) and not _is_hidden(each, path))
        elif path.exists():
            found = [path]
        else:
            found = _matches(str(source))
            if not found:
                raise FileNotFoundError(f"there is no file or folder {path}: give a table that is there")
        formats = {format_of(each) for each in found}
        if len(formats) != 1 or None in formats:
            raise _no_tables(path, formats)
        files += found
    formats = {format_of(each) for each in files}
    if len(formats) != 1:
        raise _no_tables(", ".join(map(str, sources)), formats)
    twice = next((each for i, each in enumerate(files) if each in files[:i]), None) if len(sources) > 1 else None
    if twice is not None:
        raise ValueError(f"{twice} is given more than once: its rows would be there twice")
    return files


def open_files(sources: Iterable[str | Path], texts: Sequence[str] = ()) -> list[File]:
    """Open all files that are meant; those of lines have the types of the first one's first rows.

    :param texts: columns of texts, where types are guessed: what looks like a date or a number stays a text.
    :raises FileNotFoundError, ValueError: as ``find_files``, and for a file that cannot be read.
    """
    import pyarrow as pa

    paths = find_files(sources)
    kind = format_of(paths[0])
    schema: pa.Schema | None = None
    files = []
    for path in paths:
        try:
            if kind in LINES:
                from m2v_onnx.corpus import lines

                opened = (lines.open_json if kind == "json" else lines.open_csv)(path, schema, texts)
            else:
                opened = (_open_parquet if kind == "parquet" else _open_ipc)(path)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, PermissionError):
                raise
            raise ValueError(f"{path}: it cannot be read ({error}): write it again") from error
        schema = schema or opened.schema
        files.append(opened)
    return files


def joined(pieces: Sequence[Piece]) -> Piece:
    """Pieces that follow each other as one. At least one."""
    import pyarrow as pa

    if len(pieces) == 1:
        return pieces[0]
    numbers: list[int] = []
    broken: dict[int, str] = {}
    for piece in pieces:
        broken |= {len(numbers) + i: reason for i, reason in piece.broken.items()}
        numbers += piece.numbers
    return Piece(pa.concat_batches([piece.batch for piece in pieces]), numbers, broken, pieces[-1].position)


def read_pieces(
    files: Sequence[File], schema: "pa.Schema", size: int, start: tuple[int, int] = (0, 0)
) -> Iterator[tuple[File, Piece]]:
    """Read files one after the other as if they were one.

    :param schema: the columns that are wanted, with the types of the first file; those of others are converted.
    :param start: a file's place among them, and the rows of it to leave out.
    :raises ValueError: for a file whose columns are others.
    """
    first, skip = start
    for each in files[first:]:
        for piece in each.pieces(size, schema.names, skip):
            yield each, replace(piece, batch=_converted(piece.batch, schema, each.path))
        skip = 0


def format_of(path: Path) -> str | None:
    """None for a file of no format that is read here."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = suffixes[-1:] and suffixes[-1] in COMPRESSIONS
    inner = suffixes[:-1] if compressed else suffixes
    found = FORMATS.get(inner[-1]) if inner else None
    return found if found in LINES or not compressed else None


def is_of_tables(source: str) -> bool:
    """Whether a source can be nothing but tables: by its name, or a folder or a pattern that has some."""
    path = Path(source)
    if path.is_dir():
        return any(map(format_of, path.rglob("*")))
    if not path.exists() and glob.has_magic(source):
        return any(map(format_of, _matches(source)))
    return format_of(path) not in (None, "json")


def _matches(pattern: str) -> list[Path]:
    """Not by Path.glob, which takes no absolute pattern."""
    return [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207


def _is_hidden(path: Path, folder: Path) -> bool:
    """What programs leave beside the parts of a table begins with these."""
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _no_tables(source: Any, formats: Iterable[str | None]) -> ValueError:
    known = ", ".join(sorted(each for each in formats if each))
    got = known or ("no such file" if Path(source).is_dir() else Path(source).name)
    return ValueError(
        f"{source}: expected files of one format, {', '.join(FORMATS)}, .jsonl and .csv also .gz or .zst, got {got}"
    )


def _cut(piece: Piece, size: int) -> Iterator[Piece]:
    """Pieces of no more rows than asked for, and of fewer where they are large."""
    rows = len(piece.batch)
    step = max(1, min(size, rows * PIECE_BYTES // max(1, piece.weight)))
    for begin in range(0, rows, step):
        yield piece if rows <= step else piece.rows(begin, min(rows, begin + step))


def _converted(batch: "pa.RecordBatch", schema: "pa.Schema", path: Path) -> "pa.RecordBatch":
    """The columns that are wanted, of the types that are wanted. :raises ValueError: where that is not possible."""
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    do = "give files with the same columns, or name those to take by --columns"
    for name in schema.names:
        if batch.schema.names.count(name) != 1:
            raise ValueError(
                f"{path}: expected one column {name!r}, as the first file has, got {batch.schema.names}: {do}"
            )
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(
            f"{path}: its columns have other types than those of the first file ({error}): {do}"
        ) from error


def _open_parquet(path: Path) -> File:
    from pyarrow import parquet as pq

    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows

    def pieces(size: int, columns: Sequence[str], skip: int) -> Iterator[Piece]:
        first = skip
        # Read in steps, not in whole row groups, which may have any size.
        with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            begin = 0
            while begin < len(groups) and skip >= groups[begin].num_rows:
                skip -= groups[begin].num_rows
                begin += 1
            heaviest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
            step = max(1, min(size, PIECE_BYTES // max(1, heaviest)))
            for batch in file.iter_batches(step, row_groups=range(begin, len(groups)), columns=list(columns)):
                rest = batch.slice(skip)
                skip -= len(batch) - len(rest)
                yield Piece(rest, range(first, first + len(rest)))
                first += len(rest)

    return File(path, schema, rows, "row", pieces)


def _open_ipc(path: Path) -> File:
    """An Arrow file, or the stream that `datasets` and others write under that name."""
    import pyarrow as pa
    from pyarrow import dataset

    with path.open("rb") as begin:
        is_file = begin.read(6) == b"ARROW1"

    def batches(source: "pa.MemoryMappedFile") -> "Iterator[pa.RecordBatch]":
        if is_file:
            reader = pa.ipc.open_file(source)
            return (reader.get_batch(i) for i in range(reader.num_record_batches))
        return iter(pa.ipc.open_stream(source))

    with pa.memory_map(str(path)) as source:
        schema = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).schema
    rows = dataset.dataset(str(path), format="ipc").count_rows() if is_file else None

    def pieces(size: int, columns: Sequence[str], skip: int) -> Iterator[Piece]:
        first = 0
        with pa.memory_map(str(path)) as source:
            for batch in batches(source):
                rest = batch.slice(max(0, skip - first))
                begin = first + len(batch) - len(rest)
                if len(rest):
                    yield Piece(
                        rest.select([n for n in columns if n in rest.schema.names]), range(begin, begin + len(rest))
                    )
                first += len(batch)

    return File(path, schema, rows, "row", pieces)
