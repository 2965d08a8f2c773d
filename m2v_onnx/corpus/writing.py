"""Vectors into a file, complete or absent, or onto a stream, as they come."""

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

import numpy as np
import numpy.typing as npt

from m2v_onnx.corpus.streams import discard, is_stream, open_stream

Vectors = npt.NDArray[Any]
Writer = Callable[[Vectors], None]


@dataclass(frozen=True)
class Output:
    """Where vectors go.

    :ivar path: a file; None for standard output.
    :ivar format: "npy", or "jsonl": a JSON array a line.
    """

    path: Path | None
    format: Literal["npy", "jsonl"]


def find_output(given: str | None) -> Output:
    """Find out what an output is.

    :param given: a path; "-" or None for standard output.
    :raises ValueError: for a file of no such format.
    """
    if given is None or given == "-":
        return Output(None, "jsonl")
    path = Path(given)
    if path.suffix == ".npy" and is_stream(path):
        raise ValueError(f"--output: {given} is a stream, and a .npy file's head is written last: give .jsonl")
    if path.suffix not in (".npy", ".jsonl") and not is_stream(path):
        raise ValueError(f"--output: expected a .npy or .jsonl file, got {given}")
    return Output(path, "npy" if path.suffix == ".npy" else "jsonl")


def check_output(target: Output, *, force: bool) -> None:
    """Look whether the target can be written, before any work is done for it.

    :param force: whether a file that is there is to be replaced.
    :raises FileNotFoundError: when there is no such folder.
    :raises IsADirectoryError: when it is a folder itself.
    :raises FileExistsError: when there is such a file, and it is not to be replaced.
    """
    if target.path is None or is_stream(target.path):
        return
    place = _place(target.path)
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{target.path}: there is no folder {place.parent}: make it first")
    if place.is_dir():
        raise IsADirectoryError(f"{target.path} is a folder: give a file")
    if place.exists() and not force:
        raise _taken(target.path)


@contextmanager
def writing(target: Output, none: Vectors, *, force: bool) -> Iterator[Writer]:
    """Take vectors batch by batch.

    :param none: [0, width], of the dtype that is written.
    :param force: whether a file that is there is replaced. Until all is written it stays as it was.
    :raises FileNotFoundError, IsADirectoryError, FileExistsError: as ``check_output``.
    """
    check_output(target, force=force)
    if target.path is None:
        yield lambda vectors: _write_json(sys.stdout, vectors)
    elif is_stream(target.path):
        with _stream(target.path) as file:
            yield lambda vectors: _write_json(file, vectors)
    else:
        with new_file(target.path, binary=target.format == "npy", force=force) as new:
            if target.format == "npy":
                yield npy_writer(new, none)
            else:
                yield lambda vectors: _write_json(new, vectors)


@contextmanager
def _stream(path: Path) -> Iterator[Any]:
    """Written straight, for nothing can take its place."""
    with open_stream(path, "w", encoding="utf-8") as file:
        try:
            yield file
        except BaseException:
            discard(file)
            raise


@contextmanager
def new_file(target: Path, *, binary: bool, force: bool) -> Iterator[Any]:
    """A temporary file that takes the target's place at the end; after an error nothing is left of it."""
    place = _place(target)
    # Named before it is made, so that a signal at any moment finds what to remove. The name is cut, as a file system
    # has a limit that the target's own may be near to.
    temporary = place.parent / f".{place.name[:32]}-{secrets.token_hex(4)}"
    try:
        with temporary.open("x+b") if binary else temporary.open("x", encoding="utf-8") as file:
            if place.exists() and sys.platform != "win32":  # which has no more than a mark against writing
                shutil.copymode(place, temporary)
            yield file
        if force:
            temporary.replace(place)
        else:
            _put(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _place(target: Path) -> Path:
    """Where a file is in truth: a link stays one, as where a shell writes into it."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(f"{target} exists: give another output, or --force to replace it")


def _put(temporary: Path, target: Path) -> None:
    """Rename, but over no file that has come meanwhile. :raises FileExistsError: where one has."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise _taken(target) from None
        temporary.rename(target)


def npy_writer(file: BinaryIO, none: Vectors) -> Writer:
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
    """A JSON array a line, each number as short as its type allows; a reader that waits for a batch gets it."""
    for vector in vectors:
        file.write(f"[{', '.join(map(str, vector))}]\n")
    file.flush()
