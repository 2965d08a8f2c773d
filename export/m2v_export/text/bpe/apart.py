"""What DeepSeek's expressions do otherwise: numbers, ideographs and kana stand apart; a sign joins ASCII letters."""

import numpy as np

from m2v_export.graphs.arrays import any_of, counted, keep, later, look_up, places_where, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.characters import Characters
from m2v_export.text.bpe.expressions import APART, BOUNDARY, NUMBER
from m2v_export.text.bpe.runs import Runs
from m2v_export.text.tables.utf8 import FIRST_CONTINUATION, SYMBOLS

ASCII_LETTERS = np.zeros(SYMBOLS + 1, np.int32)
"""int32 [SYMBOLS + 1], 1 for the letters of ASCII."""
ASCII_LETTERS[[*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]] = 1


def set_apart(g: Graph, runs: Runs) -> Runs:
    """Runs next to a number, or to what is APART and they are not, have nothing beside them."""
    is_number = (np.arange(2 * APART) % APART == NUMBER) * 2
    sides = g.constant((is_number + np.arange(2 * APART) // APART).astype(np.int32), "sides")
    own = look_up(g, sides, runs.kinds)

    def beside(kinds: Value) -> Value:
        same = look_up(g, sides, kinds).equals(own)
        return g.op("Where", same, g.op("BitwiseAnd", kinds, APART - 1), np.array(BOUNDARY, np.int32)).sized_as(kinds)

    before, behind = beside(runs.before), beside(runs.behind)
    return Runs(runs.firsts, runs.sizes, g.op("BitwiseAnd", runs.kinds, APART - 1), before, behind)


def are_ascii_before_letter(g: Graph, text: Characters, runs: Runs) -> Value:
    """:return: bool [K], whether a run begins with ASCII, and the next run with an ASCII letter."""
    first = look_up(g, text.symbols, look_up(g, text.at, runs.firsts))
    is_letter = _are_ascii_letters(g, later(g, first, 1))
    return (first < FIRST_CONTINUATION) & (is_letter > 0)


def _are_ascii_letters(g: Graph, symbols: Value) -> Value:
    """:param symbols: int32 [P]. :return: int32 [P], 1 for letters of ASCII."""
    return look_up(g, g.constant(ASCII_LETTERS, "ascii_letters"), g.op("Min", symbols, np.array(SYMBOLS, np.int32)))


def behind_ascii(g: Graph, text: Characters, runs: Runs, joined: Value, marks: Value) -> Value:
    """A sign takes up ASCII letters alone.

    :param joined: bool [K], runs of letters behind such a sign. :param marks: int32 [C]. :return: the same.
    """

    def mark(g: Graph) -> list[Value]:
        others = _are_ascii_letters(g, look_up(g, text.symbols, text.at)).equals(0)
        first, size = keep(g, runs.firsts, joined), keep(g, runs.sizes, joined)
        # The end is no letter.
        ends = look_up(g, places_where(g, others), look_up(g, counted(g, others.cast(np.int32)), first))
        places = keep(g, ends, ends < first + size)
        return [g.op("ScatterElements", marks, places, zeros_like(places) + 1)]

    return g.if_(any_of(g, joined), mark, lambda g: [marks])[0].sized_as(marks)
