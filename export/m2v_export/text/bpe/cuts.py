"""Where words begin: the rules of ``expressions`` for runs of characters of one kind, or the table of ``pairs``."""

from dataclasses import replace

import numpy as np

from m2v_export.graphs.arrays import keep, later, look_up, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.apart import are_ascii_before_letter, behind_ascii, set_apart
from m2v_export.text.bpe.cases import Letters, letters_of, settled_kinds, with_capitals, with_suffixes
from m2v_export.text.bpe.characters import BLANK, Characters
from m2v_export.text.bpe.expressions import (
    APART,
    BOUNDARY,
    BREAK,
    KINDS,
    LETTER,
    NUMBER,
    OTHER,
    REST,
    SPACE,
    Expression,
)
from m2v_export.text.bpe.pairs import CUT, Pairs
from m2v_export.text.bpe.runs import Runs, runs_of
from m2v_export.text.bpe.tables import Contractions
from m2v_export.text.stages.characters import characters_of

APOSTROPHE = ord("'")


def words_begin(g: Graph, text: Characters, expression: Expression, contractions: Contractions) -> Value:
    """:return: int32 [C], 1 where a word begins, else 0; the end is one, and what is behind it another."""
    cases = text.kinds // APART
    if expression.cases:
        text = replace(text, kinds=settled_kinds(g, text))
    runs = runs_of(g, text)
    if expression.apart:
        runs = set_apart(g, runs)
    last = runs.firsts + runs.sizes - 1
    # What is before a run that a text begins with is not looked at.
    before = look_up(g, text.symbols, look_up(g, text.at, runs.firsts - 1))
    behind_blank = runs.before.equals(SPACE) & before.equals(BLANK)
    joins = _joins(g, runs, behind_blank, expression)
    lone = runs.kinds.equals(OTHER) & runs.sizes.equals(1) & ~behind_blank
    if expression.spaces:
        if expression.apart:
            lone = lone & are_ascii_before_letter(g, text, runs)
        behind_lone = later(g, lone.cast(np.int32), -1) > 0
        behind_lone = runs.kinds.equals(LETTER) & behind_lone & runs.before.equals(OTHER)
        joins = joins | behind_lone
    if expression.breaks:
        joins = joins | _goes_on(g, runs)
    # Of white space before a word the last character is the word's, or a word of its own.
    splits = runs.kinds.equals(SPACE) & ~runs.behind.equals(BOUNDARY)
    if expression.breaks:
        splits = splits & ~runs.behind.equals(BREAK)
    if expression.apart:
        splits = splits | (runs.kinds.equals(REST) & runs.behind.equals(LETTER))
    begins = g.concat([keep(g, runs.firsts, ~joins), keep(g, last, splits)])
    marks = g.op("ScatterElements", zeros_like(text.kinds), begins, zeros_like(begins) + 1).sized_as(text.kinds)
    if expression.apart:
        marks = behind_ascii(g, text, runs, behind_lone, marks)
    elif expression.cases:
        marks = _with_cases(g, text, cases, runs, lone, marks, contractions)
    else:
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
    table[LETTER, REST, :] = 1
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


def _are_before_contractions(g: Graph, text: Characters, runs: Runs, lone: Value) -> Value:
    """:param lone: bool [K], runs of one sign that is not behind a blank.
    :return: bool [K], those of them that are an apostrophe before letters.
    """
    own = look_up(g, text.symbols, look_up(g, text.at, runs.firsts))
    return lone & own.equals(APOSTROPHE) & runs.behind.equals(LETTER)


def _contraction_sizes(g: Graph, text: Characters, places: Value, contractions: Contractions) -> Value:
    """:param places: int32 [Q], apostrophes. :return: int32 [Q], letters of the contraction behind each, 0 for none."""
    at = look_up(g, text.at, places)
    one = look_up(g, g.constant(contractions.first, "contraction_first"), look_up(g, text.symbols, at + 1))
    other = look_up(g, g.constant(contractions.second, "contraction_second"), look_up(g, text.symbols, at + 2))
    return look_up(g, g.constant(contractions.sizes, "contraction_sizes"), one * contractions.columns + other)


def _with_contractions(
    g: Graph, text: Characters, runs: Runs, lone: Value, marks: Value, contractions: Contractions
) -> Value:
    """:param lone: bool [K], runs of one sign that is not behind a blank. :param marks: int32 [C], 1 where words begin.
    :return: the same.
    """
    places = keep(g, runs.firsts, _are_before_contractions(g, text, runs, lone))

    def mark(g: Graph) -> list[Value]:
        size = _contraction_sizes(g, text, places, contractions)
        found = size > 0
        first, size = keep(g, places, found) + 1, keep(g, size, found)
        without = g.op("ScatterElements", marks, first, zeros_like(first))
        return [g.op("ScatterElements", without, first + size, zeros_like(first) + 1)]

    return g.if_(places.size() > 0, mark, lambda g: [marks])[0].sized_as(marks)


def _with_cases(
    g: Graph, text: Characters, cases: Value, runs: Runs, lone: Value, marks: Value, contractions: Contractions
) -> Value:
    """As ``_with_contractions``, where these are suffixes, and cases matter. :param cases: int32 [C]."""
    letters = letters_of(g, text, runs, marks)
    is_suffix = _are_before_contractions(g, text, runs, lone) & runs.before.equals(LETTER)
    numbers = places_where(g, is_suffix)

    def put(g: Graph) -> list[Value]:
        sizes = _contraction_sizes(g, text, look_up(g, runs.firsts, numbers), contractions)
        put = with_suffixes(g, runs, numbers, sizes, letters)
        return [put.marks, put.own, put.begins]

    found = g.if_(numbers.size() > 0, put, lambda g: [letters.marks, letters.own, letters.begins])
    return with_capitals(g, cases, Letters(*(of.sized_as(marks) for of in found)))


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
