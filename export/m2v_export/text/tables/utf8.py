"""Bytes as the graph works with them, and which of them may follow which (The Unicode Standard, table 3-7)."""

import numpy as np

AFTER, PADDING = 256, 257
"""Symbols after the bytes of a batch: its end, and what look-ups past it find."""

SYMBOLS = 258
"""Bytes, AFTER and PADDING."""

PADDED = 32
"""Symbols after the last byte, ENDS of them AFTER and then PADDING: more than a word's windows reach."""

ENDS = 2
"""The first is the last word, where every chain ends; the second tells where it ends."""

FIRST_CONTINUATION, FIRST_LEAD = 0x80, 0xC0
"""Bytes that follow in a character are from the one and below the other; from the other on a character of several
bytes begins."""

NEVER_BYTES = {0xC0, 0xC1, *range(0xF5, 0x100)}
"""Bytes that UTF-8 does not have."""

NEVER = 4
"""Followers of a byte that begins no character: more than there can be."""

FOLLOWERS = np.full(SYMBOLS, NEVER, np.int32)
"""int32 [SYMBOLS]: the bytes that must follow each."""
FOLLOWERS[:0x80] = FOLLOWERS[AFTER:] = 0
FOLLOWERS[0xC2:0xE0], FOLLOWERS[0xE0:0xF0], FOLLOWERS[0xF0:0xF5] = 1, 2, 3

MOST_BYTES = 4
"""Bytes of a character."""

KINDS = np.ones(SYMBOLS, np.int32)
"""int32 [SYMBOLS]: the kind of each as one that follows, a bit: 80 to 8F, 90 to 9F, A0 to BF, or no such byte."""
KINDS[0x80:0x90], KINDS[0x90:0xA0], KINDS[0xA0:0xC0] = 2, 4, 8

ANY_KIND, ANY_CONTINUATION = 15, 14

MUST_FOLLOW = (np.arange(MOST_BYTES - 1)[:, None] < FOLLOWERS) & (FOLLOWERS < NEVER)
"""bool [3, SYMBOLS]: whether a first, second and third byte must follow each."""

FOLLOWING_KINDS = np.full((MOST_BYTES - 1, SYMBOLS), ANY_KIND, np.int32)
"""int32 [3, SYMBOLS]: the kinds that the first, second and third byte after each may be of. Of the first not all where
that would be an overlong form, a surrogate, or past U+10FFFF."""
FOLLOWING_KINDS[:, FOLLOWERS == NEVER] = 0
FOLLOWING_KINDS[MUST_FOLLOW] = ANY_CONTINUATION
FOLLOWING_KINDS[0, [0xE0, 0xF0, 0xED, 0xF4]] = 8, 4 + 8, 2 + 4, 2

REPLACEMENT = (0xEF, 0xBF, 0xBD)
"""U+FFFD in UTF-8."""


def byte_token(byte: int) -> str:
    """What a vocabulary with byte fallback calls a byte."""
    return f"<0x{byte:02X}>"
