"""Giving memory back to the system: an export of a large model works in stages, each of which may need most of it."""

import ctypes
import gc
import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt


def let_go(array: npt.NDArray[Any]) -> None:
    """Give back the pages of an array that is mapped from a file; they are read anew when they are needed."""
    mapped: Any = array
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_DONTNEED)


def give_back_freed() -> None:
    """Give back what was freed: glibc keeps the hundreds of megabytes of small pieces that a tokenizer was made of, and
    Python's objects, which are in other places, cannot take them. Other libraries of C give more back by themselves."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
