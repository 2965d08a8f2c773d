"""Texts of a file or a stream, one after the other: plain lines or JSON lines, compressed or not."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from m2v_onnx.corpus.streams import is_stream, open_stream
from m2v_onnx.errors import InvalidTextError, MissingExtraError
from m2v_onnx.vectors.ragged import check_unicode

Format = Literal["txt", "jsonl"]

FORMATS: dict[str, Format] = {".txt": "txt", ".jsonl": "jsonl", ".ndjson": "jsonl"}
"""By a file's name."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks of encodings that are not read; the first that fits counts."""
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed data."""

KEYS_SHOWN = 10
"""Keys of an object that an error lists."""


@dataclass(frozen=True)
class Input:
    """Where texts come from.

    :ivar path: a file; None for standard input.
    :ivar format: None for a stream whose format nobody told: plain lines, if they do not look like JSON.
    :ivar compression: "gzip", "zstd" or None.
    :ivar given: texts that are there already, instead of a file.
    """

    path: Path | None
    format: Format | None = None
    compression: str | None = None
    given: Sequence[str] | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Input":
        return cls(None, given=texts)

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)

    @contextmanager
    def texts(self, field: str, on_blank: Callable[[], None] | None) -> Iterator[Iterable[str]]:
        """Open it and read, text by text.

        :param field: the key of the text in JSON objects.
        :param on_blank: called for each blank JSON line that is left out; None to make these an error.
        :raises FileNotFoundError: when there is no such file.
        :raises InvalidTextError: for a line that is no text; names its number.
        :raises MissingExtraError: when a package is needed to decompress it.
        """
        if self.given is not None:
            yield self.given
            return
        with self._open() as file:
            lines = _decoded(_sound(file, self.name) if self.compression else file, self.name)
            if self.format == "jsonl":
                yield _json_texts(lines, self.name, field, on_blank)
            else:
                yield lines if self.format else _no_json(lines, self.name)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        if self.path is None:
            yield sys.stdin.buffer
            return
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {self.path} to read texts from: give one that is there")
        if self.path.is_dir():
            raise IsADirectoryError(f"{self.path} is a folder: give a file of texts")
        decompress = _decompressor(self.compression, self.name)
        with open_stream(self.path, "rb") as file, decompress(cast(BufferedReader, file)) as content:
            yield content


def find_input(given: str | None, format_: Format | None) -> Input:
    """Find out what an input is.

    :param given: a path; "-" or None for standard input.
    :param format_: as it was told; None to go by the name.
    :raises ValueError: for a file whose format nobody told.
    """
    if given is None or given == "-":
        return Input(None, format_)
    path = Path(given)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    inner = suffixes[:-1] if compression else suffixes
    format_ = format_ or (FORMATS.get(inner[-1]) if inner else None)
    if format_ is None and not is_stream(path) and not path.is_dir():
        raise ValueError(
            f"--input: expected a .txt or .jsonl file, also .gz or .zst, got {given}: say what is in it by --format"
        )
    return Input(path, format_, compression)


def _decompressor(compression: str | None, name: str) -> Callable[[BufferedReader], AbstractContextManager[BinaryIO]]:
    """:raises MissingExtraError: when a package is needed for it."""
    if compression is None:
        return nullcontext
    if compression == "gzip":
        from gzip import GzipFile

        return lambda file: cast(BinaryIO, GzipFile(fileobj=_not_empty(file, name)))
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise MissingExtraError(f"to read {name}", "zstd", "backports.zstd") from error
    return lambda file: cast(BinaryIO, zstd.ZstdFile(_not_empty(file, name)))


def _not_empty(file: BufferedReader, name: str) -> BufferedReader:
    """gzip takes no bytes at all, what a download that failed leaves, for no texts; there is a header in any case."""
    if not file.peek(1):
        raise _damaged(name, "it is empty")
    return file


def _sound(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines of compressed data. :raises InvalidTextError: where it is truncated or damaged."""
    lines = iter(file)
    while True:
        try:
            line = next(lines, None)
        except Exception as error:  # each way to decompress has its own
            if isinstance(error, OSError) and error.errno is not None:  # the disk's or the pipe's, not the data's
                raise
            raise _damaged(name, str(error)) from error
        if line is None:
            return
        yield line


def _damaged(name: str, reason: str) -> InvalidTextError:
    return InvalidTextError(f"{name}: its compressed data is truncated or damaged ({reason}): copy it again")


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines end at a line feed only, not at U+2028 and the like. A byte order mark at the start is dropped."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            _check_first(line, name)
            if line == BYTE_ORDER_MARK:  # and nothing behind it: an empty file
                return
            line = line.removeprefix(BYTE_ORDER_MARK)
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise InvalidTextError(f"{name}, line {number}: expected UTF-8, got {error.reason}: convert it") from error


def _check_first(line: bytes, name: str) -> None:
    for mark, encoding in OTHER_MARKS.items():
        if line.startswith(mark):
            raise InvalidTextError(
                f"{name}: expected UTF-8, got {encoding}: convert it, by `iconv -f {encoding} -t UTF-8` say"
            )
    for magic, compression in MAGIC.items():
        if line.startswith(magic):
            raise InvalidTextError(
                f"{name}: expected UTF-8, got {compression} data: decompress it first, or give a file whose name ends"
                f" in {next(suffix for suffix, its in COMPRESSIONS.items() if its == compression)}"
            )


def _no_json(lines: Iterable[str], name: str) -> Iterator[str]:
    """:raises InvalidTextError: where the first line that is not blank is JSON."""
    looked = False
    for line in lines:
        if not looked and line.strip():
            looked = True
            if _is_json(line):
                raise InvalidTextError(
                    f"{name}: its first line is JSON, and nobody told which format it has:"
                    " give --format jsonl for JSON lines, or --format txt to take each line as a text as it stands"
                )
        yield line


def _is_json(line: str) -> bool:
    """Whether a line is a JSON object or string, or an array of such. Numbers, and marks such as [1], are texts."""
    if line.lstrip()[0] not in '{["':
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return not isinstance(value, list) or any(isinstance(item, (str, dict, list)) for item in value)


def _json_texts(lines: Iterable[str], name: str, field: str, on_blank: Callable[[], None] | None) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if on_blank is None:
                raise InvalidTextError(
                    f"{name}, line {number}: it is blank, and a vector for each line was expected:"
                    " give --skip-blank to leave blank lines out"
                )
            on_blank()
            continue
        yield _text_of(line, field, f"{name}, line {number}")


def _text_of(line: str, field: str, where: str) -> str:
    """:raises InvalidTextError: for what is no JSON string, or object with one."""
    value: Any
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidTextError(f"{where}: expected JSON: {error}") from error
    if isinstance(value, dict):
        if field not in value:
            keys = f"{sorted(value)[:KEYS_SHOWN]}{' and more' if len(value) > KEYS_SHOWN else ''}"
            raise InvalidTextError(f"{where}: no {field!r} in {keys}: give the text's key by --field")
        if _is_twofold(line, field):
            raise InvalidTextError(f"{where}: the key {field!r} is there more than once: keep one text a line")
        value = value[field]
    if not isinstance(value, str):
        raise InvalidTextError(f"{where}: expected a text, got {type(value).__name__}")
    try:
        check_unicode([value])
    except InvalidTextError as error:
        raise InvalidTextError(f"{where}: its text {error.reason}") from error
    return value


def _is_twofold(line: str, field: str) -> bool:
    """Whether an object has a key more than once; json keeps the last one and says nothing."""
    if line.count(json.dumps(field, ensure_ascii=False)) < 2:
        return False
    pairs = json.loads(line, object_pairs_hook=list)
    return [key for key, _ in pairs].count(field) > 1
