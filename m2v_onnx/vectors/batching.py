"""How many texts become runs of a graph: small batches of similar length, in a bounded number of threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Ids = npt.NDArray[np.int64]
In = TypeVar("In")
Out = TypeVar("Out")

RUN_BYTES = 4 << 20
"""Gathered rows of one run, in bytes of float32: what bag.onnx takes at once. Smaller runs fit a core's cache better,
but cost more starts than they save."""


def default_threads() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batches(items: Iterable[In], size: int) -> Iterator[list[In]]:
    """Lists of ``size`` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def similar(lengths: Ids, tokens: int) -> list[Ids]:
    """Group texts by length, so that a group padded to its longest text has at most ``tokens`` tokens.

    A longer text is a group of its own.

    :param lengths: int64 [N], tokens of each text.
    :return: int64 arrays, indices of texts; each text is in one of them.
    """
    order = np.argsort(lengths, kind="stable")
    ascending = lengths[order]
    groups, begin = [], 0
    while begin < len(order):
        padded = ascending[begin:] * np.arange(1, len(order) - begin + 1)
        size = max(1, int(np.searchsorted(padded, tokens, "right")))
        groups.append(order[begin : begin + size])
        begin += size
    return groups


def pick(ids: Ids, offsets: Ids, lengths: Ids, texts: Ids) -> tuple[Ids, Ids]:
    """The flat ids and offsets of some of the texts.

    :param texts: int64 [M], indices of texts.
    :return: int64 [T'], int64 [M].
    """
    sizes = lengths[texts]
    starts = np.cumsum(sizes) - sizes
    slots = np.repeat(offsets[texts] - starts, sizes) + np.arange(sizes.sum())
    return ids[slots], starts


def in_order(pool: "ThreadPoolExecutor", work: Callable[[In], Out], items: Iterable[In], ahead: int) -> Iterator[Out]:
    """Map in threads, results in the order of the items, never more than ``ahead`` of them unread."""
    running: deque[Future[Out]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
