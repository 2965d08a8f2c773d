"""Code points of UTF-8."""

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.pages import PAGE, Pages
from m2v_export.text.tables.utf8 import FIRST_CONTINUATION, FIRST_LEAD, FOLLOWERS, NEVER, SYMBOLS


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
    return look_up(g, g.constant(pages.values, name), places)


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
