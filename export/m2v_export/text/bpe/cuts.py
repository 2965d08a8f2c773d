"""Where words begin: the rules of ``expressions`` for runs of characters of one kind, or the table of ``pairs``."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import keep, later, look_up, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.characters import BLANK, Characters
from m2v_export.text.bpe.expressions import BOUNDARY, BREAK, KINDS, LETTER, NUMBER, OTHER, SPACE, Expression
from m2v_export.text.bpe.pairs import CUT, Pairs
from m2v_export.text.bpe.tables import Contractions
from m2v_export.text.stages.characters import characters_of

APOSTROPHE = ord("'")


@dataclass(frozen=True, eq=False)
class Runs:
    """Characters of one kind in a row, in one text; added tokens are each for itself.

    :ivar firsts: int32 [K], the first character of each. :ivar sizes: int32 [K].
    :ivar kinds: int32 [K]. :ivar before: int32 [K], the kind before, BOUNDARY where a text begins.
    :ivar behind: int32 [K], the kind behind, BOUNDARY where a text ends.
    """

    firsts: Value
    sizes: Value
    kinds: Value
    before: Value
    behind: Value


def runs_of(g: Graph, text: Characters) -> Runs:
    before = previous(g, text.kinds, BOUNDARY)
    before = g.op("ScatterElements", before, text.starts, zeros_like(text.starts) + BOUNDARY).sized_as(text.kinds)
    firsts = places_where(g, ~text.kinds.equals(before) | text.kinds.equals(BOUNDARY))
    kinds, before = look_up(g, text.kinds, firsts), look_up(g, before, firsts)
    begins_text = later(g, before, 1).equals(BOUNDARY)
    behind = g.op("Where", begins_text, np.array(BOUNDARY, np.int32), later(g, kinds, 1)).sized_as(kinds)
    return Runs(firsts, later(g, firsts, 1) - firsts, kinds, before, behind)


def words_begin(g: Graph, text: Characters, expression: Expression, contractions: Contractions) -> Value:
    """:return: int32 [C], 1 where a word begins, else 0; the end is one, and what is behind it another."""
    runs = runs_of(g, text)
    last = runs.firsts + runs.sizes - 1
    # What is before a run that a text begins with is not looked at.
    before = look_up(g, text.symbols, look_up(g, text.at, runs.firsts - 1))
    behind_blank = runs.before.equals(SPACE) & before.equals(BLANK)
    joins = _joins(g, runs, behind_blank, expression)
    lone = runs.kinds.equals(OTHER) & runs.sizes.equals(1) & ~behind_blank
    if expression.spaces:
        behind_lone = later(g, lone.cast(np.int32), -1) > 0
        joins = joins | (runs.kinds.equals(LETTER) & behind_lone & runs.before.equals(OTHER))
    if expression.breaks:
        joins = joins | _goes_on(g, runs)
    # Of white space before a word the last character is the word's, or a word of its own.
    splits = runs.kinds.equals(SPACE) & ~runs.behind.equals(BOUNDARY)
    if expression.breaks:
        splits = splits & ~runs.behind.equals(BREAK)
    begins = g.concat([keep(g, runs.firsts, ~joins), keep(g, last, splits)])
    marks = g.op("ScatterElements", zeros_like(text.kinds), begins, zeros_like(begins) + 1).sized_as(text.kinds)
    marks = _with_contractions(g, text, runs, lone, marks, contractions)
    if expression.number is not None:
        marks = _with_numbers(g, text, runs, marks, expression.number)
    return marks


def begin_between(g: Graph, text: Characters, pairs: Pairs) -> Value:
    """As ``words_begin``, between characters that no merge puts together."""
    place = previous(g, text.kinds, CUT) * pairs.classes + text.kinds
    begins = look_up(g, g.constant(pairs.begins, "begins"), place)
    return g.op("ScatterElements", begins, text.starts, zeros_like(text.starts) + 1).sized_as(text.kinds)


def _joins(g: Graph, runs: Runs, behind_blank: Value, expression: Expression) -> Value:
    """:return: bool [K], whether a run belongs to the white space before it."""
    table = np.zeros((KINDS, KINDS, 2), np.int32)
    table[LETTER, SPACE, :] = 1 if expression.spaces else [0, 1]
    table[NUMBER, SPACE, 1] = expression.blank_numbers
    table[OTHER, SPACE, 1] = 1
    place = (runs.kinds * KINDS + runs.before) * 2 + behind_blank.cast(np.int32)
    return look_up(g, g.constant(table.reshape(-1), "joins"), place) > 0


def _goes_on(g: Graph, runs: Runs) -> Value:
    """:return: bool [K], whether a run of line breaks or white space goes on with a word: with the signs before it, or
    with white space up to the last line break.
    """
    before, two_before = runs.before, later(g, runs.before, -1)
    breaks = runs.kinds.equals(BREAK) & (before.equals(OTHER) | before.equals(SPACE))
    # White space between line breaks, but where those before it belong to signs.
    between = runs.kinds.equals(SPACE) & before.equals(BREAK) & runs.behind.equals(BREAK) & ~two_before.equals(OTHER)
    return breaks | between


def _with_contractions(
    g: Graph, text: Characters, runs: Runs, lone: Value, marks: Value, contractions: Contractions
) -> Value:
    """:param lone: bool [K], runs of one sign that is not behind a blank. :param marks: int32 [C], 1 where words begin.
    :return: the same.
    """
    own = look_up(g, text.symbols, look_up(g, text.at, runs.firsts))
    places = keep(g, runs.firsts, lone & own.equals(APOSTROPHE) & runs.behind.equals(LETTER))

    def mark(g: Graph) -> list[Value]:
        at = look_up(g, text.at, places)
        one = look_up(g, g.constant(contractions.first, "contraction_first"), look_up(g, text.symbols, at + 1))
        other = look_up(g, g.constant(contractions.second, "contraction_second"), look_up(g, text.symbols, at + 2))
        sizes = g.constant(contractions.sizes, "contraction_sizes")
        size = look_up(g, sizes, one * contractions.columns + other)
        found = size > 0
        first, size = keep(g, places, found) + 1, keep(g, size, found)
        without = g.op("ScatterElements", marks, first, zeros_like(first))
        return [g.op("ScatterElements", without, first + size, zeros_like(first) + 1)]

    return g.if_(places.size() > 0, mark, lambda g: [marks])[0].sized_as(marks)


def _with_numbers(g: Graph, text: Characters, runs: Runs, marks: Value, most: int) -> Value:
    """:param most: digits of a word. :param marks: int32 [C]. :return: the same."""
    if most == 1:
        return g.op("Max", marks, text.kinds.equals(NUMBER).cast(np.int32)).sized_as(marks)
    is_long = runs.kinds.equals(NUMBER) & (runs.sizes > most)
    firsts, sizes = keep(g, runs.firsts, is_long), keep(g, runs.sizes, is_long)

    def mark(g: Graph) -> list[Value]:
        numbers = characters_of(g, firsts, sizes)
        step = numbers.here - look_up(g, numbers.firsts, numbers.word)
        places = keep(g, numbers.at, (step % most).equals(0))
        return [g.op("ScatterElements", marks, places, zeros_like(places) + 1)]

    return g.if_(firsts.size() > 0, mark, lambda g: [marks])[0].sized_as(marks)
