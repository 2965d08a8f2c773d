"""Stage 1, decode: bytes become symbols, with the end of the batch behind them."""

import numpy as np

from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.utf8 import AFTER, ENDS, FIRST_CONTINUATION, FIRST_LEAD, PADDED, PADDING


def decode(g: Graph, utf8: Value) -> Value:
    """Bytes as symbols.

    :param utf8: uint8 [T]. :return: int32 [T + PADDED], never empty.
    """
    tail = np.full(PADDED, PADDING, np.int32)
    tail[:ENDS] = AFTER
    with g.stage("decode"):
        return g.concat([utf8.cast(np.int32), tail])


def is_continuation(symbols: Value) -> Value:
    """:param symbols: int32 [T]. :return: bool [T]."""
    return (symbols >= FIRST_CONTINUATION) & (symbols < FIRST_LEAD)
