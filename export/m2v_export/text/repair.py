"""Bytes that are no UTF-8 become U+FFFD, as many as Python's ``bytes.decode("utf-8", errors="replace")`` makes.

That is one for each longest run of bytes that begins a character and is not finished, and one for every other byte that
belongs to none (The Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts").
"""

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END, counted, keep, look_up, ones, positions, zeros
from m2v_export.text.utf8 import (
    AFTER,
    FIRST_LEAD,
    FOLLOWERS,
    HIGHEST_SECOND,
    LOWEST_SECOND,
    NEVER,
    REPLACEMENT,
    is_continuation,
)

GONE = -1
"""A place in the rewritten bytes that is left out."""


def repair(g: Graph, symbols: Value, starts: Value) -> tuple[Value, Value]:
    """:param symbols: int32 [T]. :param starts: int64 [N], the first byte of each text.
    :return: int32 [U], int64 [N]: the same, in UTF-8.
    """
    leads = positions(g, (symbols >= FIRST_LEAD) & (symbols < AFTER))
    with g.scope("repair"):
        symbols, starts = g.if_(
            is_valid(g, symbols, starts, is_continuation(symbols), leads),
            lambda g: [symbols, starts],
            lambda g: list(replace_invalid(g, symbols, starts)),
        )
    return symbols, starts


def is_valid(g: Graph, symbols: Value, starts: Value, continuation: Value, leads: Value) -> Value:
    """Whether all that must follow does, nothing else follows, and no text begins in the middle.

    :param continuation: bool [T], whether a symbol is a byte that follows.
    :param leads: int64 [L], all places with a byte that begins a character of several; others may be among them.
    :return: bool [].
    """
    lead, second = look_up(g, symbols, leads), look_up(g, symbols, leads + 1)
    wanted = look_up(g, g.constant(FOLLOWERS, "followers"), lead)
    lowest, highest = (
        g.constant(table, name) for table, name in ((LOWEST_SECOND, "lowest"), (HIGHEST_SECOND, "highest"))
    )
    good = (second >= look_up(g, lowest, lead)) & (second <= look_up(g, highest, lead)) & (wanted < NEVER)
    for i in (2, 3):
        good = good & ((wanted < i) | is_continuation(look_up(g, symbols, leads + i)))
    first = look_up(g, symbols, starts)
    wrong = g.concat([(~good).cast(np.int32), is_continuation(first).cast(np.int32), np.array([0], np.int32)])
    stray = g.op("ReduceSum", continuation.cast(np.int32), keepdims=0) - g.op("ReduceSum", wanted, keepdims=0)
    return g.op("ReduceMax", wrong, keepdims=0).equals(0) & stray.equals(0)


def replace_invalid(g: Graph, symbols: Value, starts: Value) -> tuple[Value, Value]:
    """As ``repair``, byte by byte."""
    first = g.op("ScatterElements", zeros(g, symbols.size()), starts, ones(g, starts.size()), reduction="max")
    wanted = look_up(g, g.constant(FOLLOWERS, "followers"), symbols)
    lowest, highest = (
        g.constant(table, name) for table, name in ((LOWEST_SECOND, "lowest"), (HIGHEST_SECOND, "highest"))
    )
    lead = (wanted > 0) & (wanted < NEVER)
    # follows[k]: whether this byte is the one at distance k + 1 from the lead that it belongs to.
    inner = first.equals(0)
    follows, reached = [], lead
    for distance in (1, 2, 3):
        here = _shift(g, symbols, distance)
        fits = is_continuation(here) & _shift_bool(g, inner, distance)
        if distance == 1:
            fits = fits & (here >= look_up(g, lowest, symbols)) & (here <= look_up(g, highest, symbols))
        reached = reached & fits & (wanted >= distance)
        follows.append(reached)
    length = follows[0].cast(np.int32) + follows[1].cast(np.int32) + follows[2].cast(np.int32)
    complete = length.equals(wanted)
    taken, kept = None, complete
    for distance, follow in zip((1, 2, 3), follows, strict=True):
        back = _shift_bool(g, follow, -distance)
        taken = back if taken is None else taken | back
        kept = kept | _shift_bool(g, follow & complete, -distance)
    assert taken is not None
    replaced = ~taken & ~complete
    columns = []
    for i, byte in enumerate(REPLACEMENT):
        substitute = g.op("Where", replaced, np.array([byte], np.int32), np.array([GONE], np.int32))
        columns.append((g.op("Where", kept, symbols, substitute) if i == 0 else substitute).unsqueeze(1))
    grid = g.concat(columns, axis=1).reshape(-1)
    kept = grid > GONE
    before = counted(g, kept.cast(np.int32))
    return keep(g, grid, kept), look_up(g, before, starts * len(REPLACEMENT)).cast(np.int64)


def _shift(g: Graph, values: Value, by: int) -> Value:
    """:param values: int32 [T]. :return: int32 [T]: the value ``by`` places on, 0 past the ends."""
    filling = np.zeros(abs(by), np.int32)
    if by > 0:
        return g.concat([values.slice(by, END), filling])
    return g.concat([filling, values.slice(0, by)])


def _shift_bool(g: Graph, values: Value, by: int) -> Value:
    return _shift(g, values.cast(np.int32), by) > 0
