"""Tables that are lines of text: JSON lines and CSV, compressed or not, read by Arrow block by block."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.corpus.files import COMPRESSIONS, File, Piece

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 4 << 20
"""Bytes of lines that are parsed at once."""

_BLANKS = b" \t\r\n"
"""Of JSON."""

FIRST_BLOCK = 1 << 20
"""Bytes by which the types of the columns are guessed."""


def open_json(path: Path, schema: "pa.Schema | None", texts: Sequence[str]) -> File:
    """JSON lines. Columns are those of the first block: one that comes later is an error, not left out.

    :param schema: the columns that are known already; None to guess them.
    """
    import pyarrow as pa

    if schema is None:
        with _Stream(path) as stream:
            first = next(_blocks(stream, FIRST_BLOCK), b"")
        schema = _guessed(first, path, texts)

    def pieces(size: int, columns: Sequence[str], skip: int) -> Iterator[Piece]:
        """A block's rows are its lines, blank ones left out."""
        whole = len(columns) == len(schema)
        wanted = pa.schema([schema.field(name) for name in columns])
        with _Stream(path) as stream:
            line = 1
            for block in _blocks(stream, BLOCK):
                numbers: Sequence[int] = range(line, line + _lines_of(block))
                line += len(numbers)
                if block[:1] in _BLANKS or any(b"\n%c" % blank in block for blank in _BLANKS):
                    lines = block.split(b"\n")
                    numbers = [number for number, its in zip(numbers, lines, strict=False) if its.strip(_BLANKS)]
                if skip >= len(numbers):
                    skip -= len(numbers)
                    continue
                batch, broken = _parsed(block, wanted, "error" if whole else "ignore", len(numbers))
                yield from _skipped(Piece(batch, numbers, broken, stream.position), skip)
                skip = 0

    return File(path, schema, None, "line", pieces)


def open_csv(path: Path, schema: "pa.Schema | None", texts: Sequence[str]) -> File:
    """CSV. A column of whole numbers stays text where a number of the first block would be written otherwise: 007 say.
    Behind the first block such a number is an error.
    """
    import pyarrow as pa

    numbers: set[str] = set()
    if schema is None:
        with _Stream(path) as stream:
            guessed = _csv_reader(stream, {name: pa.string() for name in texts}).schema
        whole_numbers = {each.name: pa.string() for each in guessed if pa.types.is_integer(each.type)}
        with _Stream(path) as stream:
            try:
                first = _csv_reader(
                    stream, {each.name: each.type for each in guessed} | whole_numbers
                ).read_next_batch()
            except StopIteration:  # a header, and no rows
                first = pa.RecordBatch.from_pylist([], guessed)
        numbers = {name for name in whole_numbers if _as_numbers(first.column(name)) is not None}
        schema = pa.schema(
            [(each.name, pa.string() if each.name in whole_numbers.keys() - numbers else each.type) for each in guessed]
        )
    else:
        numbers = {each.name for each in schema if pa.types.is_integer(each.type)}
    types = {each.name: pa.string() if each.name in numbers else each.type for each in schema}

    def pieces(size: int, columns: Sequence[str], skip: int) -> Iterator[Piece]:
        waiting: dict[int, str] = {}

        def on_broken(row: Any) -> str:
            # Its number is the parser's, which counts from 1 and the header too.
            waiting[row.number - 2] = (
                f"has {row.actual_columns} values, and the header {row.expected_columns}: {row.text[:80]!r}"
            )
            return "skip"

        with _Stream(path) as stream:
            row = 0
            for batch in _csv_reader(stream, types, columns, on_broken):
                whole = _with_numbers(batch, schema, columns, numbers, path)
                piece, row = _with_broken(whole, row, waiting, stream.position)
                yield from _skipped(piece, skip)
                skip = max(0, skip - len(piece.batch))
            if waiting:  # behind the last row that could be read
                none = pa.RecordBatch.from_pylist([], pa.schema([schema.field(name) for name in columns]))
                yield from _skipped(_with_broken(none, row, waiting, stream.position)[0], skip)

    return File(path, schema, None, "row", pieces)


class _Stream:
    """A file's bytes, decompressed, and how many of the file itself are read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_Stream":
        import pyarrow as pa

        self._raw = pa.OSFile(str(self._path))
        compression = COMPRESSIONS.get(self._path.suffix.lower())
        self.file = pa.CompressedInputStream(self._raw, compression) if compression else self._raw
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        return int(self._raw.tell())


def _blocks(stream: _Stream, size: int) -> Iterator[bytes]:
    """Whole lines, of some ``size`` bytes together."""
    parts: list[bytes] = []
    while data := stream.file.read(size):
        end = data.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, data[:end]])
            parts = [data[end:]]
        else:
            parts.append(data)
    rest = b"".join(parts)
    if rest:
        yield rest


def _lines_of(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _read_json(block: bytes, schema: "pa.Schema | None", unexpected: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import json as arrow

    return arrow.read_json(
        pa.BufferReader(block),
        arrow.ReadOptions(use_threads=False, block_size=len(block) + 1),
        arrow.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )


def _guessed(block: bytes, path: Path, texts: Sequence[str]) -> "pa.Schema":
    """The columns by the lines of the first block that can be read: broken ones are found later, by their number.

    :param texts: columns of texts. What Arrow takes for dates, and nulls, are texts there.
    """
    import pyarrow as pa

    lines = [line for line in block.split(b"\n") if line.strip(_BLANKS)]
    if not lines:
        raise ValueError(f"{path}: it has no rows")
    # A table of other things than texts is told as such, once its types are known.
    for known in (pa.schema([(name, pa.string()) for name in texts]), None):
        sound, found = lines, _schema_of(block, known)
        if found is None:
            sound = [line for line in lines if _schema_of(line, known) is not None]
            # Where types of lines do not fit each other, the first line's count.
            found = _schema_of(b"\n".join(sound), known) or _schema_of(sound[0], known) if sound else None
        if found is not None:
            there = [each for each in found if each.name not in texts or _is_key(each.name, block)]
            first = _schema_of(sound[0], None)
            order = [*(first.names if first else ()), *found.names]
            return pa.schema(sorted(there, key=lambda each: order.index(each.name)))
    raise ValueError(
        f"{path}: expected a JSON object a line, with a key of the text; lines that are texts go into .npy and .jsonl"
        " files, without the options of tables"
    )


def _schema_of(lines: bytes, known: "pa.Schema | None") -> "pa.Schema | None":
    """None for what cannot be read."""
    import pyarrow as pa

    try:
        return _read_json(lines, known, "infer").schema
    except pa.ArrowInvalid:
        return None


def _is_key(name: str, block: bytes) -> bool:
    return any(json.dumps(name, ensure_ascii=ascii).encode() in block for ascii in (True, False))


def _parsed(block: bytes, schema: "pa.Schema", unexpected: str, rows: int) -> "tuple[pa.RecordBatch, dict[int, str]]":
    """A block's rows, and those that are broken: where a block cannot be read, each half is tried, down to a line."""
    import pyarrow as pa

    def read(part: bytes, rows: int) -> "tuple[list[pa.RecordBatch], dict[int, str]]":
        try:
            table = _read_json(part, schema, unexpected)
            if table.num_rows == rows:
                return table.combine_chunks().to_batches(), {}
            reason = f"has {table.num_rows} JSON objects, expected one"
        except pa.ArrowInvalid as error:
            reason = f"cannot be read ({str(error).removeprefix('JSON parse error: ').removesuffix(' in row 0')})"
        if rows == 1:
            return [_nulls(schema, 1)], {0: reason}
        lines = [line for line in part.split(b"\n") if line.strip(_BLANKS)]
        half = len(lines) // 2
        first, broken = read(b"\n".join(lines[:half]), half)
        second, more = read(b"\n".join(lines[half:]), len(lines) - half)
        return [*first, *second], broken | {half + i: reason for i, reason in more.items()}

    batches, broken = read(block, rows)
    if not batches:
        return _nulls(schema, 0), {}
    return (batches[0] if len(batches) == 1 else pa.concat_batches(batches)), broken


def _nulls(schema: "pa.Schema", rows: int) -> "pa.RecordBatch":
    import pyarrow as pa

    return pa.record_batch([pa.nulls(rows, each.type) for each in schema], schema=schema)


def _csv_reader(
    stream: _Stream,
    types: "dict[str, pa.DataType]",
    columns: Sequence[str] = (),
    on_broken: Callable[[Any], str] = lambda row: "skip",
) -> Any:
    from pyarrow import csv

    return csv.open_csv(
        stream.file,
        read_options=csv.ReadOptions(block_size=FIRST_BLOCK, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=on_broken),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=[*columns]),
    )


def _with_numbers(
    batch: "pa.RecordBatch", schema: "pa.Schema", columns: Sequence[str], numbers: set[str], path: Path
) -> "pa.RecordBatch":
    """:raises ValueError: for what is no whole number in a column of such."""
    import pyarrow as pa

    found = []
    for name, column in zip(columns, batch.columns, strict=True):
        converted = _as_numbers(column) if name in numbers else column
        if converted is None:
            raise ValueError(
                f"{path}: column {name!r} is of whole numbers at the begin, and has others later, or such that begin"
                " with 0: write the table as Parquet, where columns have types"
            )
        found.append(converted)
    return pa.record_batch(found, schema=pa.schema([schema.field(name) for name in columns]))


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


def _with_broken(batch: "pa.RecordBatch", first: int, waiting: dict[int, str], position: int) -> tuple[Piece, int]:
    """Put the broken rows where they were, as nulls; those behind the batch's last row wait.

    :param first: the number of the first row.
    :param waiting: broken rows by their number; those that are used are taken out.
    :return: and the number of the row behind.
    """
    import pyarrow as pa

    if not waiting:
        return Piece(batch, range(first, first + len(batch)), {}, position), first + len(batch)
    places: list[int | None] = []
    broken: dict[int, str] = {}
    taken, row = 0, first
    while taken < len(batch) or (not len(batch) and waiting):
        if row in waiting:
            broken[len(places)] = waiting.pop(row)
            places.append(None)
        else:
            places.append(taken)
            taken += 1
        row += 1
    if len(broken) == len(places):
        whole = _nulls(batch.schema, len(places))
    else:
        whole = batch.take(pa.array(places, pa.int64()))
    return Piece(whole, range(first, row), broken, position), row


def _skipped(piece: Piece, skip: int) -> Iterator[Piece]:
    if skip < len(piece.batch):
        yield piece.rows(skip, len(piece.batch))
