"""``m2v-onnx embed``: a stream of texts to a file of vectors, never all of them in memory."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import InvalidTextError
from m2v_onnx.limits import Unset
from m2v_onnx.model import LoadOptions, OnnxStaticModel
from m2v_onnx.vectors.dtypes import VectorType

Vectors = npt.NDArray[Any]
Writer = Callable[[Vectors], None]


def embed(
    model_source: str,
    *,
    texts: Sequence[str],
    source: Path | None,
    target: Path | None,
    field: str,
    batch_size: int,
    progress: bool,
    max_length: int | Unset | None,
    normalize: bool | None,
    dtype: VectorType,
    loading: LoadOptions,
) -> None:
    """Read texts, write vectors.

    :param texts: the texts; when empty they come from ``source``, or from standard input.
    :param source: a .txt file, a text a line, or a .jsonl file of strings or objects.
    :param target: a .npy or .jsonl file, complete or absent; None for JSON lines on standard output.
    :param field: the key of the text in objects.
    :param max_length: as ``encode``'s; ``normalize`` and ``dtype`` too.
    :raises InvalidTextError: for a line that is no text.
    """
    model = OnnxStaticModel.from_pretrained(model_source, **loading)
    with _reading(texts, source, field) as stream, _writing(target, model.encode([], dtype=dtype)) as write:
        for vectors in model.encode_iter(
            stream,
            batch_size=batch_size,
            show_progress_bar=progress,
            max_length=max_length,
            normalize=normalize,
            dtype=dtype,
        ):
            write(vectors)


@contextmanager
def _reading(texts: Sequence[str], source: Path | None, field: str) -> Iterator[Iterable[str]]:
    if texts:
        yield texts
    elif source is None:
        yield _lines(sys.stdin.buffer, "standard input")
    else:
        if not source.exists():
            raise FileNotFoundError(f"there is no file {source} to read texts from: give one that is there")
        with source.open("rb") as file:
            lines = _lines(file, str(source))
            yield _json_texts(lines, source, field) if source.suffix == ".jsonl" else lines


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Lines end at a line feed only, not at U+2028 and the like."""
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise InvalidTextError(f"{name}, line {number}: expected UTF-8, got {error.reason}: convert it") from error


def _json_texts(lines: Iterable[str], path: Path, field: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise InvalidTextError(f"{path}, line {number}: expected JSON: {error}") from error
        if isinstance(value, dict):
            if field not in value:
                raise InvalidTextError(f"{path}, line {number}: no {field!r} in {sorted(value)}: see --field")
            value = value[field]
        if not isinstance(value, str):
            raise InvalidTextError(f"{path}, line {number}: expected a text, got {type(value).__name__}")
        yield value


@contextmanager
def _writing(target: Path | None, none: Vectors) -> Iterator[Writer]:
    """:param none: [0, width], of the dtype that is written."""
    if target is None:
        yield lambda vectors: _write_json(sys.stdout, vectors)
    elif target.suffix == ".npy":
        with _replacing(target) as file:
            yield _npy_writer(file, none)
    else:
        with _replacing(target) as file:
            yield lambda vectors: _write_json(file, vectors)


@contextmanager
def _replacing(target: Path) -> Iterator[Any]:
    """A temporary file that takes the target's place at the end; after an error nothing is left of it."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: there is no folder {target.parent}: make it first")
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w+b") if target.suffix == ".npy" else os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _npy_writer(file: BinaryIO, none: Vectors) -> Writer:
    """Vectors as they come; the header, whose length does not depend on their number, is written anew each time."""
    rows, dtype = 0, none.dtype.newbyteorder("<")

    def header() -> None:
        file.seek(0)
        shape = {"descr": dtype.str, "fortran_order": False, "shape": (rows, *none.shape[1:])}
        # numpy pads the header with room for a shape that grows.
        np.lib.format.write_array_header_1_0(file, shape)
        file.seek(0, os.SEEK_END)

    def write(vectors: Vectors) -> None:
        nonlocal rows
        rows += len(vectors)
        file.write(vectors.astype(dtype, copy=False).tobytes())
        header()

    header()
    return write


def _write_json(file: TextIO, vectors: Vectors) -> None:
    """A JSON array a line, each number as short as its type allows."""
    for vector in vectors:
        file.write(f"[{', '.join(map(str, vector))}]\n")
