"""Making vectors beside an event loop: small requests at once, large ones in threads.

A small request takes less time than to hand it to a thread and back, so it is worked on where it comes. No timer waits
for more of them: a text is one run of a graph of three kernels, and a batch would not be faster. A larger one is cut
into parts. It has as many parts in the threads' queue as there are threads, and the next one only when one is done: so
requests take turns, whoever comes with the most texts.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from m2v_onnx.errors import InvalidTextError
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.serve.metrics import Metrics
from m2v_onnx.vectors.session import Vectors, normalized

SMALL_TEXTS, SMALL_CHARACTERS = 32, 8_192
"""A request that is worked on at once: some 0.3 ms with nanotoken, 1.5 ms with the slowest tokenizer that was seen."""

PART_TEXTS, PART_CHARACTERS = 256, 1 << 17
"""Texts of one part of a larger request. More are not faster, and the interpreter is held while they are written."""

Out = TypeVar("Out")


class Work:
    """A worker's threads."""

    def __init__(self, threads: int, metrics: Metrics) -> None:
        self._threads, self._metrics = threads, metrics
        self._pool = ThreadPoolExecutor(threads, "m2v-onnx-serve")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def aside(self, work: Callable[..., Out], *arguments: Any) -> Out:
        """Call something in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def vectors(
        self,
        model: OnnxStaticModel,
        texts: Sequence[str],
        form: Callable[[Vectors, int], Out],
        *,
        normalize: bool | None = None,
        dimensions: int | None = None,
    ) -> tuple[list[Out], int]:
        """Make vectors and write them down.

        :param form: gets some of the vectors, and the number of the first; called in a thread.
        :param normalize: None for the model's own setting.
        :param dimensions: so many of the first are left.
        :return: what ``form`` made, in order, and how many tokens the texts have.
        :raises InvalidTextError: for a text that cannot be tokenized, with its number.
        """

        def make(first: int, some: Sequence[str]) -> tuple[Out, int, float, float]:
            begin = perf_counter()
            try:
                found, tokens = model.encode_counted(some, normalize=normalize)
            except InvalidTextError as error:
                raise error.counted_from(first) from None
            if dimensions is not None and dimensions < model.dim:
                unit = model.normalize if normalize is None else normalize
                found = found[:, :dimensions]
                found = normalized(found) if unit else np.ascontiguousarray(found)
            return form(found, first), tokens, begin, perf_counter()

        characters = sum(map(len, texts))
        if len(texts) <= SMALL_TEXTS and characters <= SMALL_CHARACTERS:
            written, tokens, begin, end = make(0, texts)
            self._metrics.worked(len(texts), end - begin)
            return [written], tokens
        came = perf_counter()
        size = min(PART_TEXTS, max(1, PART_CHARACTERS * len(texts) // max(1, characters)))
        parts = [(first, texts[first : first + size]) for first in range(0, len(texts), size)]
        results = await self._in_turns(make, parts)
        busy = sum(end - begin for _, _, begin, end in results)
        self._metrics.worked(len(texts), busy)
        self._metrics.waited(results[0][2] - came)
        return [written for written, *_ in results], sum(tokens for _, tokens, *_ in results)

    async def _in_turns(self, work: Callable[..., Out], parts: Sequence[tuple[Any, ...]]) -> list[Out]:
        results: list[Any] = [None] * len(parts)
        next_ones = iter(range(len(parts)))

        async def lane() -> None:
            for i in next_ones:
                results[i] = await self.aside(work, *parts[i])

        lanes = [asyncio.ensure_future(lane()) for _ in range(min(self._threads, len(parts)))]
        try:
            await asyncio.gather(*lanes)
        finally:
            for task in lanes:
                task.cancel()
        return results
