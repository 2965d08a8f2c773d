"""Walking over a table that may be larger than memory."""

from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from m2v_export.source.memory import let_go

Array = npt.NDArray[Any]

CHUNK_BYTES = 16 << 20
"""How much of a mapped table is looked at in one go."""


def chunks(array: Array, size: int = CHUNK_BYTES) -> Iterator[Array]:
    """Views along the first axis.

    Where the array is mapped from a file, its pages are given back after each, so that a walk over a table of some
    gigabytes takes no memory for it.

    :param size: bytes of one.
    """
    rows = max(1, size // max(1, array[:1].nbytes))
    for i in range(0, len(array), rows):
        yield array[i : i + rows]
        let_go(array)
