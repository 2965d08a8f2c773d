"""Bytes that are no UTF-8 become U+FFFD, as many as Python's ``bytes.decode("utf-8", errors="replace")`` makes.

That is one for each longest run of bytes that begins a character and is not finished, and one for every other byte that
belongs to none (The Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts").
"""

import numpy as np

from m2v_export.graphs.arrays import counted, keep, later, look_up, places_where
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.decode import is_continuation
from m2v_export.text.tables.utf8 import (
    AFTER,
    ANY_KIND,
    FIRST_LEAD,
    FOLLOWERS,
    FOLLOWING_KINDS,
    KINDS,
    MOST_BYTES,
    MUST_FOLLOW,
    REPLACEMENT,
    SYMBOLS,
)

GONE = -1
"""A place in the rewritten bytes that is left out."""


def continues(g: Graph, symbols: Value, starts: Value) -> Value:
    """:param symbols: int32 [T + PADDED]. :param starts: int64 [N], the first byte of each text.
    :return: int32 [T + PADDED], 1 for the bytes that continue a character, or what becomes one U+FFFD.
    """
    simple = is_continuation(symbols).cast(np.int32)
    leads = places_where(g, (symbols >= FIRST_LEAD) & (symbols < AFTER))
    with g.scope("repair"):
        bytes_ = bytes_at(g, symbols, leads)
        sound = is_sound(g, bytes_, look_up(g, simple, starts))
        return g.if_(
            sound & none_stray(g, simple, followers(g, bytes_)),
            lambda g: [simple],
            lambda g: [_within(g, _run_lengths(g, symbols, starts)).cast(np.int32)],
        )[0]


def bytes_at(g: Graph, symbols: Value, leads: Value) -> Value:
    """:param symbols: int32 [T + PADDED]. :param leads: int32 [L]. :return: int32 [4, L], as many from each on."""
    places = leads + np.arange(MOST_BYTES, dtype=np.int32)[:, None]
    return look_up(g, symbols, places.reshape(-1)).reshape(MOST_BYTES, -1)


def followers(g: Graph, bytes_: Value) -> Value:
    """:param bytes_: as ``bytes_at`` gives them.
    :return: int32 [L], how many bytes must follow the first; NEVER where no character begins.
    """
    return look_up(g, g.constant(FOLLOWERS, "followers"), g.op("Gather", bytes_, np.array(0)))


def is_sound(g: Graph, leads: Value, continues: Value) -> Value:
    """Whether all that must follow does, and no text begins in the middle: with ``none_stray``, whether it is UTF-8.

    :param leads: int32 [4, L], bytes from each on that begins a character of several; others may be among them.
    :param continues: int32 [N], not 0 where a text's first byte continues a character.
    :return: bool [].
    """
    # The lead is allowed itself: without it there would be one operation more.
    table = np.concatenate([np.full((1, SYMBOLS), ANY_KIND, np.int32), FOLLOWING_KINDS])
    may_follow = g.op("Gather", leads, np.array(0)) + (np.arange(MOST_BYTES, dtype=np.int32) * SYMBOLS)[:, None]
    allowed = look_up(g, g.constant(table.reshape(-1), "following_kinds"), may_follow.reshape(-1))
    kinds = look_up(g, g.constant(KINDS, "kinds"), leads.reshape(-1))
    wrong = g.op("BitwiseAnd", kinds, allowed).equals(0).cast(np.int32)
    wrong = g.concat([wrong, continues, np.array([0], np.int32)])
    return g.op("ReduceMax", wrong, keepdims=0).equals(0)


def none_stray(g: Graph, continues: Value, followers: Value) -> Value:
    """Whether as many bytes continue a character as must.

    :param continues: int32 [T], 1 for those that do. :param followers: int32 [L], how many must.
    :return: bool [].
    """
    return g.op("ReduceSum", continues, keepdims=0).equals(g.op("ReduceSum", followers, keepdims=0))


def made_valid(g: Graph, symbols: Value, starts: Value) -> tuple[Value, Value]:
    """:param symbols: int32 [T + PADDED]. :param starts: int32 [N]. :return: the same, in UTF-8."""
    simple = is_continuation(symbols).cast(np.int32)
    leads = bytes_at(g, symbols, places_where(g, (symbols >= FIRST_LEAD) & (symbols < AFTER)))
    with g.scope("repair"):
        valid = is_sound(g, leads, look_up(g, simple, starts)) & none_stray(g, simple, followers(g, leads))
        symbols, starts = g.if_(valid, lambda g: [symbols, starts], lambda g: list(replace_invalid(g, symbols, starts)))
    return symbols, starts


def replace_invalid(g: Graph, symbols: Value, starts: Value) -> tuple[Value, Value]:
    """:param symbols: int32 [T + PADDED]. :param starts: int32 [N], the first byte of each text.
    :return: int32 [U + PADDED], int32 [N]: the same, in UTF-8.
    """
    lengths = _run_lengths(g, symbols, starts)
    complete = lengths.equals(look_up(g, g.constant(FOLLOWERS, "followers"), symbols))
    kept = complete | _within(g, lengths * complete.cast(np.int32))
    untouched = complete | _within(g, lengths)
    columns = []
    for i, byte in enumerate(REPLACEMENT):
        substitute = g.op("Where", untouched, np.array([GONE], np.int32), np.array([byte], np.int32))
        columns.append((g.op("Where", kept, symbols, substitute) if i == 0 else substitute).unsqueeze(1))
    grid = g.concat(columns, axis=1).reshape(-1)
    kept = grid > GONE
    before = counted(g, kept.cast(np.int32))
    return keep(g, grid, kept), look_up(g, before, starts * len(REPLACEMENT))


def _run_lengths(g: Graph, symbols: Value, starts: Value) -> Value:
    """:param starts: int32 or int64 [N].
    :return: int32 [T + PADDED], how many bytes go on with the character that begins at each: 0 where none begins.
    """
    kinds = look_up(g, g.constant(KINDS, "kinds"), symbols)
    # No text's first byte goes on with a character of the one before.
    kinds = g.op("ScatterElements", kinds, starts, g.op("Expand", KINDS[:1], starts.size()))
    goes_on, lengths = None, None
    for i, allowed in enumerate(FOLLOWING_KINDS * MUST_FOLLOW):
        here = g.op("BitwiseAnd", later(g, kinds, i + 1), look_up(g, g.constant(allowed, "must_follow"), symbols))
        fits = (here > 0).cast(np.int32)
        goes_on = fits if goes_on is None else goes_on * fits
        lengths = goes_on if lengths is None else lengths + goes_on
    assert lengths is not None
    return lengths


def _within(g: Graph, lengths: Value) -> Value:
    """:param lengths: int32 [T]. :return: bool [T], whether a byte is one of those that go on with a character."""
    reach = [later(g, lengths, -i - 1) - i for i in range(MOST_BYTES - 1)]
    return g.op("Max", *reach) > 0
