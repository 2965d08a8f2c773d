"""Characters of several bytes in texts where few parts of words are such, as in most English ones.

All codes stay where their characters' first bytes were: to take out what follows would take a look at every byte. After
what separates words or is a word of its own, the other bytes are separators as well. In a word they are holes, and only
the words that have some are moved together, towards their first characters.
"""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import counted, counted_at, keep, look_up, ones, positions, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.words import Begins, begin_at
from m2v_export.text.tables.alphabet import SEPARATOR, Alphabet
from m2v_export.text.tables.utf8 import MOST_BYTES

IN_PLACE_FROM = 1 << 14
"""Up to so many codes it is faster to take out all bytes that follow."""

RARE_HOLES, RARE_BYTES = 64, 8
"""Codes a hole, and a byte that follows: with more of them it is faster to take out all bytes that follow."""


@dataclass(frozen=True, eq=False)
class Leads:
    """The characters that are looked at with their neighbours.

    :ivar places: int32 [L], their first bytes. :ivar codes: int32 [L]. :ivar followers: int32 [L], bytes that follow.
    """

    places: Value
    codes: Value
    followers: Value


def _are_parts(leads: Leads, alphabet: Alphabet) -> Value:
    """:return: bool [L], whether a character is part of a word."""
    return (leads.codes >= 0) & (leads.codes < alphabet.isolated)


def are_few(g: Graph, codes: Value, leads: Leads, alphabet: Alphabet) -> Value:
    """:param codes: int32 [C]. :return: bool [], whether there are few enough bytes that follow."""
    weights = _are_parts(leads, alphabet).cast(np.int32) * (RARE_HOLES - RARE_BYTES) + RARE_BYTES
    weighed = g.op("ReduceSum", (leads.followers * weights).cast(np.int64), keepdims=0)
    return weighed < g.op("Size", codes)


def codes_in_place(g: Graph, codes: Value, leads: Leads, alphabet: Alphabet) -> tuple[Value, Value]:
    """:param codes: int32 [C], to be changed where characters have several bytes.
    :return: int32 [C], int32 [H]: codes, and where holes are, some of them more than once.
    """
    filling = g.op(
        "Where", _are_parts(leads, alphabet), np.array(alphabet.hole, np.int32), np.array(SEPARATOR, np.int32)
    )
    # What has fewer bytes than there can be is written several times.
    behind = g.op("Min", leads.followers, np.arange(MOST_BYTES, dtype=np.int32)[:, None])
    values = g.op("Where", behind > 0, filling, leads.codes).reshape(-1)
    places = (leads.places + behind).reshape(-1)
    return g.op("ScatterElements", codes, places, values), keep(g, places, values.equals(alphabet.hole))


def closed(g: Graph, words: Begins, holes: Value, alphabet: Alphabet) -> tuple[Value, Value]:
    """Move the words that have holes together; separators are behind them then.

    :param holes: int32 [H], H > 0.
    :return: int32 [P], int32 [P]: places in the codes, and the nodes that are there now.
    """
    # The word of a hole is the last that begins before it.
    of_holes = counted_at(g, begin_at(words.nodes, alphabet), holes) - 1
    has_holes = g.op("ScatterElements", zeros_like(words.places), of_holes, ones(g, holes.size()), reduction="max")
    mine = positions(g, has_holes)
    starts = look_up(g, words.places, mine)
    places = characters_of(g, starts, look_up(g, words.places, mine + 1) - starts)
    codes = look_up(g, words.codes, places.at)
    kept = ~codes.equals(alphabet.hole)
    before = counted(g, kept.cast(np.int32))
    # As far into its word as there are codes before it that are kept.
    to = before + look_up(g, places.firsts - look_up(g, before, places.firsts), places.word)
    none = g.op("Expand", np.array([SEPARATOR], np.int32), places.here.size()).of_rank(1)
    moved = g.op("ScatterElements", none, keep(g, to, kept), keep(g, codes, kept))
    # Where words begin has not changed.
    marks = look_up(g, words.nodes, places.at) - codes
    return places.at, moved + marks
