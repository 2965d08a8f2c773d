"""Tables by code point, in pages: most pages are like others, and are stored once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PAGE = 256
"""Code points in a page."""

MOST_SAID = 0x140000
"""What four bytes can say is less, be it UTF-8 or not; see ``stages.code_points``."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Pages:
    """:ivar begins: int32 [MOST_SAID / PAGE], where the page of each 256 code points begins, for all that four bytes
        can say, which is more than there are.
    :ivar values: int32 [entries]. A page may reach into the next. They are not in 16 bits, which one of
        onnxruntime-web's bundles cannot widen.
    """

    begins: Ints
    values: Ints


@dataclass(frozen=True, eq=False)
class Palettes:
    """The values of pages in a byte each: every ``PAGE`` entries have a palette of up to 256 values, which others may
    have too.

    :ivar numbers: uint8 [entries], the value's place in the palette.
    :ivar begins: int32 [blocks of PAGE entries], where the palette begins.
    :ivar values: int32 [values], all palettes.
    """

    numbers: npt.NDArray[np.uint8]
    begins: Ints
    values: Ints


def paged(by_code_point: Ints) -> Pages:
    """:param by_code_point: int32 [code points]."""
    pages, page = np.unique(by_code_point.reshape(-1, PAGE), axis=0, return_inverse=True)
    begins, stored = _overlapping(pages)
    said = begins[page.reshape(-1)]
    return Pages(np.pad(said, (0, MOST_SAID // PAGE - len(said))).astype(np.int32), stored)


def palettes_of(values: Ints) -> Palettes:
    """:param values: int32 [entries], of ``Pages``."""
    blocks = [values[begin : begin + PAGE] for begin in range(0, len(values), PAGE)]
    palettes: list[Ints] = [np.zeros(0, np.int32)]
    number_of_block = []
    for block in blocks:
        more = np.union1d(palettes[-1], block)
        if len(more) > COLOURS:
            palettes.append(np.unique(block))
        else:
            palettes[-1] = more
        number_of_block.append(len(palettes) - 1)
    numbers = [np.searchsorted(palettes[n], block) for n, block in zip(number_of_block, blocks, strict=True)]
    begins = np.cumsum([0, *map(len, palettes)])[number_of_block]
    return Palettes(
        np.concatenate(numbers).astype(np.uint8), begins.astype(np.int32), np.concatenate(palettes).astype(np.int32)
    )


COLOURS = 256
"""Values of a palette at most: what a byte can tell apart. As many as a page has entries, or it might not fit."""


def _overlapping(pages: Ints) -> tuple[npt.NDArray[np.int64], Ints]:
    """Put pages one after the other, such that many begin with the run of one value that the one before ends with: the
    run is stored once.

    :param pages: [pages, PAGE]. :return: int64 [pages], where each begins, and what is stored.
    """

    def runs(pages: Ints) -> list[tuple[int, int]]:
        """:return: the value that each begins with, and how many times."""
        same = np.logical_and.accumulate(pages == pages[:, :1], axis=1).sum(axis=1)
        return [*zip(pages[:, 0].tolist(), np.minimum(same, PAGE - 1).tolist(), strict=True)]

    firsts, lasts = runs(pages), runs(pages[:, ::-1])
    left: dict[int, tuple[int, int]] = dict(enumerate(firsts))
    begins, size = np.zeros(len(pages), np.int64), 0
    stored = np.zeros(pages.size, pages.dtype)
    value, count = firsts[0][0], 0
    while left:
        shared, page = _most_shared(left, value, count)
        del left[page]
        begins[page] = size - shared
        stored[size - shared :][:PAGE] = pages[page]
        size += PAGE - shared
        value, count = lasts[page]
    return begins, stored[:size]


def _most_shared(left: Mapping[int, tuple[int, int]], value: int, count: int) -> tuple[int, int]:
    """:param left: what each page begins with, and how many times. :param value: what the one before ends with.
    :param count: and how many times.
    :return: of how many the page that goes with it best has its begin in common, and which one it is: the one of the
        shortest run that is as long, so that longer ones are left to others.
    """
    fits = {page: min(run, count) if first == value else 0 for page, (first, run) in left.items()}
    return max((shared, -left[page][1], page) for page, shared in fits.items())[::2]
