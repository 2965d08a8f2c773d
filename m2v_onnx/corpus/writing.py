"""Vectors into a file, complete or absent, or onto a stream, as they come."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[Any]
Writer = Callable[[Vectors], None]


@dataclass(frozen=True)
class Target:
    """Where vectors go.

    :ivar path: a file; None for standard output.
    :ivar format: "npy", or "jsonl": a JSON array a line.
    """

    path: Path | None
    format: Literal["npy", "jsonl"]


def find_target(given: str | None) -> Target:
    """Find out what an output is.

    :param given: a path; "-" or None for standard output.
    :raises ValueError: for a file of no such format.
    """
    if given is None or given == "-":
        return Target(None, "jsonl")
    path = Path(given).expanduser()
    if path.suffix == ".npy" and _is_stream(path):
        raise ValueError(f"--output: {given} is a stream, and a .npy file's head is written last: give .jsonl")
    if path.suffix not in (".npy", ".jsonl") and not _is_stream(path):
        raise ValueError(f"--output: expected a .npy or .jsonl file, got {given}")
    return Target(path, "npy" if path.suffix == ".npy" else "jsonl")


@contextmanager
def writing(target: Target, none: Vectors, *, force: bool) -> Iterator[Writer]:
    """Take vectors batch by batch.

    :param none: [0, width], of the dtype that is written.
    :param force: whether a file that is there is replaced.
    :raises FileNotFoundError: when there is no such folder.
    :raises FileExistsError: when there is such a file, and it is not to be replaced. It stays as it was.
    """
    if target.path is None:
        yield lambda vectors: _write_json(sys.stdout, vectors)
    elif _is_stream(target.path):
        with target.path.open("w", encoding="utf-8") as file:
            yield lambda vectors: _write_json(file, vectors)
    else:
        with _new_file(target.path, force=force) as new:
            if target.format == "npy":
                yield _npy_writer(new, none)
            else:
                yield lambda vectors: _write_json(new, vectors)


def _is_stream(path: Path) -> bool:
    """A device or a pipe: written straight, for nothing can take its place."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def _new_file(target: Path, *, force: bool) -> Iterator[Any]:
    """A temporary file that takes the target's place at the end; after an error nothing is left of it."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: there is no folder {target.parent}: make it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: give a file")
    # Named before it is made, so that a signal at any moment finds what to remove.
    temporary = target.parent / f".{target.name}-{secrets.token_hex(4)}"
    try:
        with temporary.open("x+b") if target.suffix == ".npy" else temporary.open("x", encoding="utf-8") as file:
            yield file
        if force:
            temporary.replace(target)
        else:
            _put(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _put(temporary: Path, target: Path) -> None:
    """Rename, but over no file that has come meanwhile. :raises FileExistsError: where one has."""
    taken = FileExistsError(f"{target} exists: give another output, or --force to replace it")
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise taken from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise taken from None
        temporary.rename(target)


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
    """A JSON array a line, each number as short as its type allows; a reader that waits for a batch gets it."""
    for vector in vectors:
        file.write(f"[{', '.join(map(str, vector))}]\n")
    file.flush()
