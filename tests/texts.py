"""Texts that the tests share."""

import sys

from m2v_export.bundle.golden import TEXTS as GOLDEN_TEXTS

LONG = (
    "word " * 3000,
    "a" * 20_000,
    "漢" * 9000,
    "café, " * 2000,
    "The whales come up to breathe, " * 400,
    " " * 5000 + "late",
    "x" * 3071 + " end",
    "\U0001f600 " * 4000,
)
"""Past the cut in code points, past max_length in tokens, or both."""

TEXTS = (*GOLDEN_TEXTS, *LONG)

CODE_POINTS = [i for i in range(sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF]
