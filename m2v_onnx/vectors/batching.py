"""How many texts become runs of a graph: small batches of similar length, in a bounded number of threads."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

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
        if len(batch) < size:  # not asked again: a terminal would wait for another end of input
            return


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


class Task(Generic[Out]):
    """Some work that a pool was given, or that waits until its result is asked for."""

    def __init__(self, work: Callable[[], Out], future: "Future[Out] | None") -> None:
        self._work, self._future, self._process = work, future, os.getpid()

    def result(self) -> Out:
        """Wait for the result. Nobody else makes it where no pool took the work, and in the child of a fork, which
        threads do not survive: there the caller does."""
        return self._future.result() if self._future and self._process == os.getpid() else self._work()

    def cancel(self) -> None:
        if self._future and self._process == os.getpid():  # in a child its lock may be held forever
            self._future.cancel()


class Workers:
    """Threads for batches; where there can be none, batches are worked on in the caller's thread."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def start(self, work: Callable[[In], Out], item: In) -> Task[Out]:
        here = partial(work, item)
        try:
            return Task(here, self._started().submit(here))
        except RuntimeError:
            # No thread can be started: the main program has ended, and this thread outlives it; or a limit is reached.
            return Task(here, None)

    def _started(self) -> "ThreadPoolExecutor":
        from concurrent.futures import ThreadPoolExecutor  # here, for it costs 6 ms and a query does not need it

        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self._threads, "m2v-onnx"), os.getpid()
        return self._pool


def in_order(workers: Workers, work: Callable[[In], Out], items: Iterable[In], ahead: int) -> Iterator[Out]:
    """Map in threads, results in the order of the items, never more than ``ahead`` of them unread.

    :param items: read ahead of the results, so none of them may wait for a result: those of a list, say.
    """
    running: deque[Task[Out]] = deque()
    try:
        for item in items:
            running.append(workers.start(work, item))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for task in running:
            task.cancel()


def shared(
    workers: Workers, work: Callable[[tuple[int, list[In]]], Out], items: Iterable[In], size: int, share: int
) -> Iterator[list[Out]]:
    """Map a stream in threads, batch by batch: a batch's results are handed out before anything is read after it.

    So an item may depend on results of earlier batches: of a program that waits for each answer, say. To read ahead
    would wait for such an item while its answer is ready. To read in a thread of its own would not do either: what
    iterates over a database's rows may only be used in its own thread, and the thread would be left waiting when the
    results are no longer wanted. So threads share the work of one batch, and start before all of it is read.

    :param work: gets the number of its first item, counted over the stream, and the items.
    :param size: items a batch, the last one has less. :param share: items a thread gets at a time.
    :return: for each batch the results of its shares.
    """
    iterator, first, ended = iter(items), 0, False
    while not ended:
        running: list[Task[Out]] = []
        try:
            for begin in range(0, size, share):
                wanted = min(share, size - begin)
                texts = list(islice(iterator, wanted))
                ended = len(texts) < wanted  # as in batches
                if texts and wanted == size:
                    running.append(Task(partial(work, (first, texts)), None))  # not shared at all
                elif texts:
                    running.append(workers.start(work, (first, texts)))
                first += len(texts)
                if ended:
                    break
            if running:
                yield [task.result() for task in running]
        finally:
            for task in running:
                task.cancel()
