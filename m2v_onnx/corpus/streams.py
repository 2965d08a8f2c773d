"""Paths that name no file on a disk: pipes, devices, and what this process has open already."""

import contextlib
import os
import re
from pathlib import Path
from typing import IO, Any

_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_NUMBERED = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})", re.ASCII)


def descriptor(path: Path) -> int | None:
    """The number of the open file that a path is a name of: ``/dev/stdin``, ``/dev/fd/3``, ``/proc/self/fd/3``."""
    name = path.as_posix()
    numbered = _NUMBERED.fullmatch(name)
    return int(numbered[1]) if numbered else _STANDARD.get(name)


def is_stream(path: Path) -> bool:
    """Whether a path names a pipe, a device or an open file: nothing can take its place, and its name need not tell
    what is in it."""
    return descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir())


def open_stream(path: Path, mode: str, encoding: str | None = None) -> IO[Any]:
    """Open a path for reading or writing. What is open already goes on where it stands: to open its name anew would
    truncate a file that a shell appends to, and is not allowed for sockets and other users' terminals."""
    number = descriptor(path)
    if number is None:
        return path.open(mode, encoding=encoding)
    return os.fdopen(os.dup(number), mode, encoding=encoding)


def discard(file: Any) -> None:
    """Send what a file still holds back to nowhere. Else closing it would wait for a reader that may never read.

    :param file: a file that is open for writing; None, or one that the operating system does not know, is left alone.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, file.fileno())
        finally:
            os.close(nowhere)


def status(path: Path) -> os.stat_result:
    """As ``path.stat()``, of open files as well.

    :raises OSError: for what is not there.
    """
    number = descriptor(path)
    return path.stat() if number is None else os.fstat(number)
