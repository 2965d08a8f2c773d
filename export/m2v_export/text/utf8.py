"""Bytes as the graph works with them, and which of them may follow which (The Unicode Standard, table 3-7)."""

import numpy as np

from m2v_export.graph import Graph, Value

AFTER, PADDING = 256, 257
"""Symbols after the bytes of a batch: the end of the last text, and what look-ups past it find."""

SYMBOLS = 258
"""Bytes, AFTER and PADDING."""

PADDED = 32
"""Symbols after the last byte, AFTER and then PADDING: more than a word's windows reach."""

FIRST_CONTINUATION, FIRST_LEAD = 0x80, 0xC0
"""Bytes that follow in a character are from the one and below the other; from the other on a character of several
bytes begins."""

NEVER = 4
"""Followers of a byte that begins no character: more than there can be."""

FOLLOWERS = np.full(SYMBOLS, NEVER, np.int32)
"""int32 [SYMBOLS]: the bytes that must follow each."""
FOLLOWERS[:0x80] = FOLLOWERS[AFTER:] = 0
FOLLOWERS[0xC2:0xE0], FOLLOWERS[0xE0:0xF0], FOLLOWERS[0xF0:0xF5] = 1, 2, 3

LOWEST_SECOND = np.where(FOLLOWERS > 0, FIRST_CONTINUATION, 0).astype(np.int32)
"""int32 [SYMBOLS]: the least second byte after each; a lesser one would be an overlong form."""
LOWEST_SECOND[0xE0], LOWEST_SECOND[0xF0] = 0xA0, 0x90

HIGHEST_SECOND = np.where(FOLLOWERS > 0, FIRST_LEAD - 1, SYMBOLS).astype(np.int32)
"""int32 [SYMBOLS]: the greatest; a greater one would be a surrogate or past U+10FFFF."""
HIGHEST_SECOND[0xED], HIGHEST_SECOND[0xF4] = 0x9F, 0x8F

REPLACEMENT = (0xEF, 0xBF, 0xBD)
"""U+FFFD in UTF-8."""


def symbols_of(g: Graph, utf8: Value) -> Value:
    """:param utf8: uint8 [T]. :return: int32 [T + PADDED], never empty."""
    tail = np.full(PADDED, PADDING, np.int32)
    tail[0] = AFTER
    return g.concat([utf8.cast(np.int32), tail])


def is_continuation(symbols: Value) -> Value:
    """:param symbols: int32 [T]. :return: bool [T]."""
    return (symbols >= FIRST_CONTINUATION) & (symbols < FIRST_LEAD)
