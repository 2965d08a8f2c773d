"""Files of tables into files of tables with vectors: rows in their order, columns beside them, none of it lost."""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

import numpy as np
import numpy.typing as npt

from m2v_onnx.corpus.bars import progress_bar
from m2v_onnx.corpus.columns import Layout, are_zeros, list_array, strings
from m2v_onnx.corpus.files import PIECE_BYTES, File, Piece, joined, need_pyarrow, open_files, read_pieces
from m2v_onnx.corpus.plain import plain_batch, plain_schema
from m2v_onnx.corpus.sinks import SUFFIXES, Sink, is_folder, open_sink
from m2v_onnx.corpus.writing import Output, check_output, new_file
from m2v_onnx.errors import CorpusError, InvalidTextError
from m2v_onnx.limits import UNSET, Unset, at_least_one
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.batching import Workers, in_order
from m2v_onnx.vectors.dtypes import BitOrder, VectorType, as_type

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 4096
"""Rows that are embedded at a time, by default."""

PART_ROWS = 1_000_000
"""Rows of the input that become one file of a folder, by default."""

OnError = Literal["fail", "skip", "null"]
Empty = Literal["zero", "null", "skip"]


@dataclass(frozen=True)
class Embedded:
    """What was done.

    :ivar rows: that were read.
    :ivar written: rows of the output.
    :ivar bad: rows without a text, or that could not be read.
    :ivar empty: texts without tokens.
    :ivar before: rows that an earlier run into the same folder had read; they are among ``rows``.
    """

    rows: int
    written: int
    bad: int
    empty: int
    before: int = 0


@dataclass(frozen=True)
class Result:
    """What became of some rows of a file: ``batch`` is written, ``bad`` is listed.

    :ivar position: bytes of the file that are read.
    """

    batch: "pa.RecordBatch"
    rows: int
    bad: list[dict[str, Any]]
    empty: int
    file: File
    position: int


def embed_files(
    model: OnnxStaticModel | str | Path | Callable[[], OnnxStaticModel],
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    text: str | Sequence[str] = "text",
    columns: Sequence[str] | None = None,
    vector: str = "vector",
    dtype: VectorType = "float32",
    bitorder: BitOrder = "big",
    layout: Layout = "list",
    on_error: OnError = "fail",
    empty: Empty = "zero",
    normalize: bool | None = None,
    max_length: int | Unset | None = UNSET,
    batch_size: int = ROWS,
    part_rows: int = PART_ROWS,
    engine: "Engine | None" = None,
    force: bool = False,
    show_progress_bar: bool = False,
) -> Embedded:
    """Embed the texts of a table, and write its rows with their vectors into a new one.

    However many rows there are, only a few batches of them are in memory. A file is complete or absent.

    :param model: an open model, what ``OnnxStaticModel.from_pretrained`` takes, or a function that opens one when the
        inputs have been looked at.
    :param sources: .parquet, .arrow, .feather, .jsonl or .csv files of one format (the last two also .gz or .zst),
        folders of them, and patterns.
    :param output: a .parquet, .arrow, .feather or .jsonl file; a .npy file of the vectors alone; or a folder of
        .parquet files, a name without a suffix. A folder's run goes on where an earlier one with the same options was
        stopped.
    :param text: the column of the texts, or several that are joined by a space.
    :param columns: those that are written beside the vector; None for all.
    :param vector: the name of the new column.
    :param dtype, bitorder: of the vectors, as ``OnnxStaticModel.encode``.
    :param layout: what a vector is in the file: ``columns.list_array`` says more. With "milvus" the other columns have
        the types that Milvus' import takes.
    :param on_error: what becomes of a row without a text, or that cannot be read. "fail": the error names it. "skip":
        it is left out. "null": its vector is null. Both list it in a file beside the output, ``.errors.jsonl``.
    :param empty: what the vector of a text without tokens is: zeros, null, or the row is left out.
    :param normalize, max_length: as ``OnnxStaticModel.encode``.
    :param batch_size: rows that are embedded at a time.
    :param part_rows: rows of the input that become one file of a folder.
    :param engine: what writes the parts of a folder: an ``OnRay``, or None for this process. The files are the same.
    :param force: replace the output if there is one.
    :param show_progress_bar: show one (tqdm) on standard error.
    :raises ValueError: for a table or an option that does not fit, and for a file that is damaged.
    :raises InvalidTextError: for a row without a text, or that cannot be read.
    :raises FileExistsError: when the output is there.
    :raises CorpusError: when rows are missing at the end, for a folder that another job or run writes into, and for an
        input that was changed since that began.
    :raises MissingExtraError: without pyarrow.
    """
    need_pyarrow()
    target, in_parts = Path(output), is_folder(output)
    if engine is not None and not in_parts:
        raise ValueError(f"engine: workers write a folder of parts: give an output without a suffix, got {target}")
    check_table_output(
        target, in_parts=in_parts, dtype=dtype, layout=layout, on_error=on_error, empty=empty, force=force
    )
    texts = (text,) if isinstance(text, str) else tuple(text)
    given = [sources] if isinstance(sources, (str, Path)) else [*sources]
    files = open_files(given, texts)
    for file in files:
        if target.exists() and file.path.samefile(target):
            raise ValueError(f"{target} is an input too: give another output")
    kept = check_columns(files[0].schema, texts, columns, vector)
    job = Job(
        opened_model(model), files, texts, kept, vector, dtype, bitorder, layout, on_error, empty, normalize,
        max_length,
        at_least_one("batch_size", batch_size),
    )  # fmt: skip
    if in_parts:
        from m2v_onnx.corpus.parts import into_parts

        if engine is not None:
            engine = engine.with_model(model)
        part_rows = at_least_one("part_rows", part_rows)
        return into_parts(job, target, part_rows, engine, force=force, shown=show_progress_bar)
    return _into_file(job, target, force=force, shown=show_progress_bar)


def opened_model(model: OnnxStaticModel | str | Path | Callable[[], OnnxStaticModel]) -> OnnxStaticModel:
    if isinstance(model, (str, Path)):
        return OnnxStaticModel.from_pretrained(model)
    return model if isinstance(model, OnnxStaticModel) else model()


def check_table_output(
    target: Path, *, in_parts: bool, dtype: str, layout: str, on_error: str, empty: str, force: bool
) -> None:
    """Look whether the output can be written, before any work is done for it.

    :raises ValueError: for a file of no format that is written, and options that do not fit it.
    :raises FileExistsError, FileNotFoundError, IsADirectoryError: as ``writing.check_output``.
    """
    kind = "parquet" if in_parts else SUFFIXES.get(target.suffix.lower())
    if kind == "parquet" and layout == "fixed" and "null" in (on_error, empty):
        # pyarrow 20 does not write them; 21 to 25 write what they cannot read.
        raise ValueError(
            "null: few programs read Parquet with nulls among lists of a fixed size: skip such rows, or take the layout"
            " 'list'"
        )
    if in_parts:
        if not target.parent.is_dir():
            raise FileNotFoundError(f"{target}: there is no folder {target.parent}: make it first")
        return
    if kind is None:
        raise ValueError(f"output: expected a file of {', '.join(SUFFIXES)}, got {target}")
    if kind in ("npy", "jsonl") and dtype == "bfloat16":
        raise ValueError(f"dtype: bfloat16 vectors go into .parquet or .arrow files, got {target}")
    if kind == "npy" and "null" in (on_error, empty):
        raise ValueError("null: a .npy file has no place for missing vectors: skip such rows, or give another output")
    for each in (target, errors_beside(target)):
        check_output(Output(each, "jsonl"), force=force)


def errors_beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.errors.jsonl")


def check_columns(
    schema: "pa.Schema", texts: Sequence[str], columns: Sequence[str] | None, vector: str
) -> tuple[str, ...]:
    """:return: the columns that are written. :raises ValueError: for a column that is not there, or is no text."""
    import pyarrow as pa

    names = [*schema.names]
    if not texts:
        raise ValueError("text: expected a column's name, got none")
    kept = tuple(names if columns is None else columns)
    for wanted, option in ((texts, "text"), (kept, "columns")):
        for name in wanted:
            if name not in names:
                raise ValueError(f"{option}: there is no column {name!r}: the table has {', '.join(map(repr, names))}")
            if names.count(name) > 1 or [*wanted].count(name) > 1:
                raise ValueError(f"{option}: the column {name!r} is there more than once: rename one, or name it once")
    for name in texts:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if kind not in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
            raise ValueError(f"text: expected a column of texts, got {kind} in {name!r}")
    if vector in kept:
        raise ValueError(f"vector: the table has a column {vector!r} already: give another name, or leave it out")
    return kept


@dataclass(frozen=True)
class Job:
    """What is to be done, whatever the output.

    :ivar key: the column of Milvus' primary key, which has no nulls, in a type that such a key may have.
    :ivar mend: what to do about a bad row, for the error.
    :ivar vector_option: what the caller's command calls the name of the vector's column, for the error.
    """

    model: OnnxStaticModel
    files: list[File]
    texts: tuple[str, ...]
    columns: tuple[str, ...]
    vector: str
    dtype: VectorType
    bitorder: BitOrder
    layout: Layout
    on_error: OnError
    empty: Empty
    normalize: bool | None
    max_length: int | Unset | None
    batch_size: int
    key: str | None = None
    mend: str = "mend it, or give --on-error skip or null"
    vector_option: str = "--vector"

    @property
    def none(self) -> npt.NDArray[Any]:
        """No vectors, [0, width]."""
        return as_type(np.zeros((0, self.model.dim), np.float32), self.dtype, self.bitorder)

    @property
    def read(self) -> "pa.Schema":
        """The columns that are read."""
        import pyarrow as pa

        schema = self.files[0].schema
        return pa.schema([each for each in schema if each.name in self.columns or each.name in self.texts])

    @property
    def kept(self) -> "pa.Schema":
        """The columns that are written, as they are written."""
        import pyarrow as pa

        schema = pa.schema([self.files[0].schema.field(name) for name in self.columns])
        return plain_schema(schema, self.layout, self.key)

    @property
    def written(self) -> "pa.Schema":
        import pyarrow as pa

        return self.kept.append(pa.field(self.vector, list_array(self.none, self.layout).type))

    @property
    def rows(self) -> int | None:
        counts = [file.rows for file in self.files if file.rows is not None]
        return sum(counts) if len(counts) == len(self.files) else None

    def counted(self) -> "Job":
        """The same, and how many rows each file has is known; those of lines are read for it."""
        names = self.read.names
        files = [
            replace(file, rows=sum(len(piece.batch) for piece in file.pieces(self.batch_size, names)))
            if file.rows is None
            else file
            for file in self.files
        ]
        return replace(self, files=files)

    def starts(self, start: tuple[int, int], part_rows: int) -> Iterator[tuple[int, int]]:
        """Where each part begins, from one on; of a job that is counted. No part begins at the end of all rows."""
        (first, skip), left = start, 0
        for place in range(first, len(self.files)):
            rows = self.files[place].rows or 0
            at = skip
            while at < rows:
                if not left:
                    yield place, at
                    left = part_rows
                taken = min(left, rows - at)
                at, left = at + taken, left - taken
            skip = 0

    def results(
        self, start: tuple[int, int] = (0, 0), part_rows: int | None = None, *, one_part: bool = False
    ) -> Iterator[Result]:
        """Embed all rows, in the model's threads, while the caller's reads and writes.

        :param start: the place of a file, and the rows of it to leave out.
        :param part_rows: how many rows from the start on a part has: no result crosses the end of one.
        :param one_part: end with the first part.
        :raises InvalidTextError: for a bad row, where it is not to be skipped.
        """
        kept, written = self.kept, self.written
        pieces = read_pieces(self.files, self.read, self.batch_size, start)

        def work(item: tuple[File, Piece]) -> Result:
            return self._embed(*item, kept, written)

        items = pieces if part_rows is None else _within_parts(pieces, part_rows, self.batch_size)
        if part_rows is not None and one_part:
            items = _first_rows(items, part_rows)
        return in_order(Workers(self.model.threads), work, items, 2 * self.model.threads)

    def _embed(self, file: File, piece: Piece, kept: "pa.Schema", written: "pa.Schema") -> Result:
        import pyarrow as pa

        batch = piece.batch
        reasons = dict(piece.broken)
        vectors = self._vectors(batch, reasons)
        if reasons and self.on_error == "fail":
            i = min(reasons)
            raise InvalidTextError(f"{file.where(piece.numbers[i])} {reasons[i]}: {self.mend}")
        if self.key is not None and (key := batch.column(self.key)).null_count:
            i = key.is_null().to_pylist().index(True)
            raise ValueError(f"{file.where(piece.numbers[i])} has no key {self.key!r}: fill it, or give another --key")
        rows = len(batch)
        bad = np.zeros(rows, np.bool_)
        bad[[*reasons]] = True
        zeros = are_zeros(vectors) & ~bad
        missing = bad | zeros if self.empty == "null" else bad
        stays = np.ones(rows, np.bool_)
        if self.on_error == "skip":
            stays &= ~bad
        if self.empty == "skip":
            stays &= ~zeros
        columns = plain_batch(batch.select(self.columns), kept, self.layout, piece.numbers[0])
        if not stays.all():
            columns, vectors, missing = columns.filter(pa.array(stays)), vectors[stays], missing[stays]
        lists = list_array(as_type(vectors, self.dtype, self.bitorder), self.layout, missing if missing.any() else None)
        listed = [{"file": str(file.path), file.unit: piece.numbers[i], "error": reasons[i]} for i in sorted(reasons)]
        whole = pa.record_batch([*columns.columns, lists], schema=written)
        return Result(whole, rows, listed, int(zeros.sum()), file, piece.position)

    def _vectors(self, batch: "pa.RecordBatch", reasons: dict[int, str]) -> npt.NDArray[np.float32]:
        """:param reasons: of the rows that are bad; more are added.
        :return: float32 [rows, dim]; zeros for a bad row.
        """
        texts = self._texts(batch, reasons)
        good = np.array([i for i in range(len(batch)) if i not in reasons], np.int64) if reasons else None
        chosen = texts if good is None else [texts[i] for i in good]
        try:
            vectors = self._encoded(chosen)
        except InvalidTextError:
            # One of them has what the tokenizer cannot take: each is tried.
            for i, text in zip(range(len(batch)) if good is None else good.tolist(), chosen, strict=True):
                try:
                    self._encoded([text])
                except InvalidTextError as error:
                    reasons[i] = error.reason
            return self._vectors(batch, reasons)
        if good is None:
            return vectors
        spread = np.zeros((len(batch), vectors.shape[1]), np.float32)
        spread[good] = vectors
        return spread

    def _encoded(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return self.model.encode_counted(texts, normalize=self.normalize, max_length=self.max_length)[0]

    def _texts(self, batch: "pa.RecordBatch", reasons: dict[int, str]) -> list[str]:
        """The text of each row, "" for a bad one, whose reason is added."""
        import pyarrow as pa
        from pyarrow import compute

        parts = []
        for name in self.texts:
            part = compute.cast(batch.column(name), pa.large_string())
            if part.null_count:
                for i in np.flatnonzero(part.is_null().to_numpy(zero_copy_only=False)).tolist():
                    reasons.setdefault(i, f"has no {name!r}")
                part = part.fill_null("")
            parts.append(part)
        joined = (
            parts[0] if len(parts) == 1 else compute.binary_join_element_wise(*parts, pa.scalar(" ", pa.large_string()))
        )
        while True:
            try:
                return strings(joined)
            except InvalidTextError as error:
                if error.number is None:
                    raise
                reasons.setdefault(error.number, error.reason)
                none = np.zeros(len(joined), np.bool_)
                none[error.number] = True
                joined = compute.if_else(pa.array(none), pa.scalar("", pa.large_string()), joined)


def _within_parts(pieces: Iterable[tuple[File, Piece]], part_rows: int, size: int) -> Iterator[tuple[File, Piece]]:
    """Cut what crosses the end of a part, and join what is short: so which rows are one batch does not depend on where
    a run began. Vectors differ in their last bit between batches of other texts."""
    room = part_rows
    for _, group in groupby(pieces, key=lambda item: item[0].path):
        held: list[Piece] = []
        rows = weight = 0
        for file, piece in group:
            begin = 0
            while begin < len(piece.batch):
                end = min(len(piece.batch), begin + min(size - rows, room))
                held.append(piece.rows(begin, end))
                rows, room, begin = rows + end - begin, room - (end - begin), end
                weight += held[-1].weight
                if rows == size or not room or weight >= PIECE_BYTES:
                    yield file, joined(held)
                    held, rows, weight = [], 0, 0
                    room = room or part_rows
        if held:
            yield file, joined(held)


Advance = Callable[[int, File, int], None]
"""What tells how far a job is: the rows that are done now, their file, and the bytes of it that are read."""


class Engine(Protocol):
    """What writes the parts of a folder in this process' place."""

    def with_model(self, model: OnnxStaticModel | str | Path | Callable[[], OnnxStaticModel]) -> "Engine":
        """The same, with the model of the job where it has none of its own."""

    def write_parts(
        self, job: Job, folder: Path, number: int, start: tuple[int, int], part_rows: int, advance: Advance
    ) -> Generator[dict[str, Any], None, None]:
        """Write all parts from one on.

        :param job: whose files' rows are counted.
        :param number: of the first part.
        :param start: where it begins: a file's place, and the rows of it to leave out.
        :return: what the manifest has of each, in their order.
        """


def _first_rows(items: Iterable[tuple[File, Piece]], rows: int) -> Iterator[tuple[File, Piece]]:
    """:param rows: that end with a piece."""
    for file, piece in items:
        yield file, piece
        rows -= len(piece.batch)
        if rows <= 0:
            return


def _into_file(job: Job, target: Path, *, force: bool, shown: bool) -> Embedded:
    done = Embedded(0, 0, 0, 0)
    kind = SUFFIXES[target.suffix.lower()]
    with (
        progress(job, shown=shown) as advance,
        new_file(target, binary=True, force=force) as file,
        ErrorList(errors_beside(target), force=force) as errors,
    ):
        with open_sink(kind, file, job.written, job.vector, job.none, job.rows) as sink:
            for result in job.results():
                done = write(result, sink, errors, done)
                advance(result.rows, result.file, result.position)
        check_counts(job, done)
    return done


def write(result: Result, sink: Sink, errors: "ErrorList", done: Embedded) -> Embedded:
    sink.write(result.batch)
    errors.write(result.bad)
    return Embedded(
        done.rows + result.rows,
        done.written + len(result.batch),
        done.bad + len(result.bad),
        done.empty + result.empty,
    )


def check_counts(job: Job, done: Embedded) -> None:
    """:raises CorpusError: where rows are missing, or there twice."""
    left_out = (done.bad if job.on_error == "skip" else 0) + (done.empty if job.empty == "skip" else 0)
    if done.rows != (done.rows if job.rows is None else job.rows) or done.written != done.rows - left_out:
        raise CorpusError(
            f"expected {job.rows} rows, read {done.rows:,}, wrote {done.written:,} and left {left_out:,} out: was an"
            " input changed meanwhile? Run it again"
        )


class ErrorList:
    """The bad rows, one JSON object a line, in a file that is there only if there are such rows."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path, self._force = path, force
        self._files = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> "ErrorList":
        return self

    def write(self, bad: Iterable[dict[str, Any]]) -> None:
        for each in bad:
            if self._file is None:
                self._file = self._files.enter_context(new_file(self._path, binary=True, force=self._force))
            self._file.write(json.dumps(each, ensure_ascii=False).encode(errors="replace") + b"\n")

    def __exit__(self, *error: Any) -> None:
        self._files.__exit__(*error)
        if error[0] is None and self._file is None and self._force:
            self._path.unlink(missing_ok=True)  # of an earlier run


@contextmanager
def progress(job: Job, *, shown: bool, done: int = 0) -> Iterator[Advance]:
    """A bar on standard error. Where nobody knows how many rows there are, by the bytes that are read.

    :param done: rows that an earlier run has embedded.
    """
    if not shown:
        yield lambda rows, file, position: None
        return
    before, size = {}, 0
    for file in job.files:
        before[file.path] = size
        size += file.path.stat().st_size

    with progress_bar(job.rows, "text", done) as bar:

        def advance(rows: int, file: File, position: int) -> None:
            if job.rows is None:
                read = before[file.path] + position
                bar.total = round((bar.n + rows) * max(1, size / max(1, read)))
            bar.update(rows)

        yield advance
