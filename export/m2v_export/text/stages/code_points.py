"""Characters of UTF-8 and their code points."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import counted_at, keep, look_up, places_where
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.decode import is_continuation
from m2v_export.text.stages.repair import bytes_at
from m2v_export.text.tables.pages import PAGE, Pages, palettes_of
from m2v_export.text.tables.utf8 import AFTER, FIRST_CONTINUATION, FIRST_LEAD, FOLLOWERS, MOST_BYTES, NEVER, SYMBOLS


@dataclass(frozen=True, eq=False)
class Decoded:
    """The characters of all texts, and what is behind them.

    :ivar at: int32 [C], the first symbol of each. :ivar own: int32 [C], that symbol.
    :ivar several: int32 [L], those that have several bytes. :ivar code_points: int32 [L], of these.
    :ivar starts: int32 [N], the first character of each text.
    """

    at: Value
    own: Value
    several: Value
    code_points: Value
    starts: Value

    @property
    def values(self) -> list[Value]:
        return [self.at, self.own, self.several, self.code_points, self.starts]


def decoded(g: Graph, symbols: Value, starts: Value) -> Decoded:
    """:param symbols: int32 [T + PADDED], UTF-8. :param starts: int32 [N], the first byte of each text."""
    is_first = ~is_continuation(symbols)
    at = places_where(g, is_first)
    own = look_up(g, symbols, at)
    several = places_where(g, (own >= FIRST_LEAD) & (own < AFTER))
    code_points = code_points_at(g, bytes_at(g, symbols, look_up(g, at, several)))
    return Decoded(at, own, several, code_points, counted_at(g, is_first, starts))


def to_utf8(g: Graph, code_points: Value) -> tuple[Value, Value]:
    """:param code_points: int32 [P], -1 for none. :return: int32 [B], int32 [P]: bytes, and how many each has."""
    sizes = (code_points >= 0).cast(np.int32)
    for first in (0x80, 0x800, 0x10000):
        sizes = sizes + (code_points >= first).cast(np.int32)
    divisors = np.array([1 << 6 * i for i in reversed(range(MOST_BYTES))], np.int32)
    needed = np.arange(MOST_BYTES, 0, -1, dtype=np.int32)
    bits, size = code_points.unsqueeze(1) // divisors, sizes.unsqueeze(1)
    lead = bits + look_up(g, g.constant(_LEAD_MARKER, "lead_marker"), sizes).unsqueeze(1)
    continuation = g.op("BitwiseAnd", bits, 0x3F) + FIRST_CONTINUATION
    grid = g.op("Where", size.equals(needed), lead, continuation)
    return keep(g, grid.reshape(-1), (size >= needed).reshape(-1)), sizes


_LEAD_MARKER = np.array([0, 0, 0xC0, 0xE0, 0xF0], np.int32)
"""By the bytes of a character."""


def code_points_at(g: Graph, bytes_: Value) -> Value:
    """Put together the bits of characters of one to four bytes.

    Bytes are added up with their marker bits, as if all characters had four bytes; then the markers are taken off and
    the bytes too many divided away.

    :param bytes_: int32 [4, L]. :return: int32 [L]; of bytes that are not UTF-8, less than MOST_SAID.
    """
    bits = g.op("BitwiseAnd", bytes_, np.array([[0x7F], [0x3F], [0x3F], [0x3F]], np.int32))
    bits = g.op("MatMul", np.array([1 << 18, 1 << 12, 1 << 6, 1], np.int32), bits)
    # Of a lead's bits some are markers still, by its length: 0xxxxxxx, 110xxxxx, 1110xxxx, 11110xxx.
    lead = g.op("Gather", bytes_, np.array(0))
    mask, divisor = (
        g.constant(table, name) for table, name in ((_LEAD_MASK, "lead_mask"), (_LEAD_DIVISOR, "lead_divisor"))
    )
    return g.op("BitwiseAnd", bits, look_up(g, mask, lead)) // look_up(g, divisor, lead)


def look_up_pages(g: Graph, pages: Pages, code_points: Value, name: str) -> Value:
    """:param code_points: int32 [L], less than MOST_SAID. :return: int32 [L], what the table has of each."""
    begins = look_up(g, g.constant(pages.begins, f"{name}_page"), code_points // PAGE)
    places = begins + g.op("BitwiseAnd", code_points, PAGE - 1)
    if len(pages.values) < MANY_VALUES:
        return look_up(g, g.constant(pages.values, name), places)
    palettes = palettes_of(pages.values)
    number = look_up(g, g.constant(palettes.numbers, f"{name}_number"), places).cast(np.int32)
    begin = look_up(g, g.constant(palettes.begins, f"{name}_palette"), places // PAGE)
    return look_up(g, g.constant(palettes.values, name), begin + number)


MANY_VALUES = 1 << 14
"""Of pages: from so many on bytes count more than four operations a character."""


def _lead_tables() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """:return: int32 [258], int32 [258]: by lead byte, the bits that are the code point's, and what to divide by."""
    mask, divisor = np.zeros(SYMBOLS, np.int32), np.ones(SYMBOLS, np.int32)
    for lead in (*range(FIRST_CONTINUATION), *range(FIRST_LEAD, 256)):
        followers = int(FOLLOWERS[lead])
        if followers == NEVER:
            continue
        unused_bits = 6 * (3 - followers)
        own_bits = 7 if followers == 0 else 6 - followers
        mask[lead] = ((1 << (6 * followers + own_bits)) - 1) << unused_bits
        divisor[lead] = 1 << unused_bits
    return mask, divisor


_LEAD_MASK, _LEAD_DIVISOR = _lead_tables()
