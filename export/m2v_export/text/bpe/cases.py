"""What GPT-4o's expression (o200k) does otherwise: words end before capitals, contractions go with the word before.

A mark is both a letter and a sign: it goes with what is before it. A sign word takes up the line breaks behind it, and
slashes among these.
"""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import any_of, keep, look_up, places_of_all, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.characters import BLANK, Characters
from m2v_export.text.bpe.expressions import APART, BREAK, LETTER, LOWER, MARK, OTHER, UPPER
from m2v_export.text.bpe.runs import Runs

SLASH = ord("/")


def settled_kinds(g: Graph, text: Characters) -> Value:
    """Decide what marks and slashes are.

    :param text: with cases in its kinds. :return: int32 [C], kinds alone.
    """
    own = look_up(g, text.symbols, text.at)
    mark = (text.kinds // APART).equals(MARK).cast(np.int32)
    kinds = g.op("BitwiseAnd", text.kinds, APART - 1)
    begins_text = g.op("ScatterElements", zeros_like(kinds), text.starts, zeros_like(text.starts) + 1).sized_as(kinds)
    goes_on = 1 - begins_text

    def counted_in_runs(g: Graph, within: Value, flags: Value) -> Value:
        """:param within: int32 [C], 1 for what is in a run. :param flags: int32 [C], 1 for what is counted.
        :return: int32 [C], how many are in the run up to here, of what is in one.
        """
        begins = within * (1 - previous(g, within) * goes_on)
        up_to = g.op("CumSum", flags, np.array(0)).of_rank(1)
        # One more, for what is before the first run.
        first = g.concat([np.array([0], np.int32), places_where(g, begins > 0)])
        first = look_up(g, first, g.op("CumSum", begins, np.array(0)).of_rank(1))
        return up_to - look_up(g, up_to - flags, first)

    def with_marks(g: Graph, kinds: Value) -> Value:
        """Marks are signs behind two signs, or a blank and a sign; else letters, as they are here."""

        def decide(g: Graph) -> list[Value]:
            sign = kinds.equals(OTHER).cast(np.int32)
            before = g.op("Max", sign, own.equals(BLANK).cast(np.int32))
            begins = sign * previous(g, before) * goes_on
            of_word = counted_in_runs(g, g.op("Max", sign, mark), begins) > 0
            return [g.op("Where", (mark > 0) & of_word, np.array(OTHER, np.int32), kinds).sized_as(kinds)]

        return g.if_(g.op("ReduceMax", mark, keepdims=0) > 0, decide, lambda g: [kinds])[0].sized_as(kinds)

    is_slash = own.equals(SLASH)
    is_break = kinds.equals(BREAK).cast(np.int32)
    taken = any_of(g, is_slash & (previous(g, is_break) > 0))

    def with_slashes(g: Graph) -> list[Value]:
        within = g.op("Max", is_slash.cast(np.int32), is_break)

        def one_round(g: Graph, _: Value, breaks: Value) -> tuple[Value, list[Value], list[Value]]:
            """What is decided depends on what is before it alone: so each round decides one more at least."""
            now = with_marks(g, g.op("Where", breaks > 0, np.array(BREAK, np.int32), kinds).sized_as(kinds))
            begins = is_break * previous(g, now.equals(OTHER).cast(np.int32)) * goes_on
            decided = is_slash & (counted_in_runs(g, within, begins) > 0)
            decided = decided.cast(np.int32).sized_as(breaks)
            return any_of(g, ~decided.equals(breaks)), [decided], []

        breaks = g.loop([zeros_like(kinds)], one_round)[0]
        return [g.op("Where", breaks > 0, np.array(BREAK, np.int32), kinds).sized_as(kinds)]

    kinds = g.if_(taken, with_slashes, lambda g: [kinds])[0].sized_as(kinds)
    return with_marks(g, kinds)


@dataclass(frozen=True, eq=False)
class Letters:
    """:ivar marks: int32 [C], 1 where words begin.
    :ivar own: int32 [C], 1 for letters that are in no contraction.
    :ivar begins: int32 [C], 1 where such letters begin behind others.
    """

    marks: Value
    own: Value
    begins: Value


def letters_of(g: Graph, text: Characters, runs: Runs, marks: Value) -> Letters:
    """:param marks: int32 [C], 1 where words begin."""
    own = text.kinds.equals(LETTER).cast(np.int32)
    firsts = keep(g, runs.firsts, runs.kinds.equals(LETTER))
    begins = g.op("ScatterElements", zeros_like(marks), firsts, zeros_like(firsts) + 1).sized_as(marks)
    return Letters(marks, own, begins)


def with_suffixes(g: Graph, runs: Runs, numbers: Value, sizes: Value, letters: Letters) -> Letters:
    """Put contractions to the words before them.

    :param numbers: int32 [Q], ascending, runs of one apostrophe between letters.
    :param sizes: int32 [Q], letters of the contraction behind each, 0 for none.
    """
    found = sizes > 0
    numbers, sizes = keep(g, numbers, found), keep(g, sizes, found)
    is_all = sizes.equals(look_up(g, runs.sizes, numbers + 1))
    # Where a contraction is all the letters, the next apostrophe has no word before it, and the one behind that has.
    chained = numbers.equals(previous(g, numbers, -2) + 2) & (previous(g, is_all.cast(np.int32)) > 0)
    first = places_where(g, ~chained)
    of_chain = g.op("CumSum", (~chained).cast(np.int32), np.array(0)).of_rank(1) - 1
    is_suffix = ((places_of_all(g, numbers) - look_up(g, first, of_chain)) % 2).equals(0)
    at, size = look_up(g, runs.firsts, keep(g, numbers, is_suffix)), keep(g, sizes, is_suffix)

    def put(values: Value, places: Value, value: int) -> Value:
        return g.op("ScatterElements", values, places, zeros_like(places) + value).sized_as(values)

    behind = at + size + 1
    # At most two letters.
    own = put(letters.own, g.concat([at + 1, at + size]), 0)
    return Letters(put(put(letters.marks, at, 0), behind, 1), own, put(letters.begins, behind, 1))


def with_capitals(g: Graph, cases: Value, letters: Letters) -> Value:
    """Cut letters where a word ends with its small letters.

    Letters are capitals, small, or both, as ideographs and marks are. A word is capitals, then small letters, with what
    is both among the two. Without a small letter it ends with the last that is both, or has capitals alone.

    :param cases: int32 [C]. :return: int32 [C], 1 where words begin.
    """
    is_letter, begins = letters.own > 0, letters.begins > 0
    upper, lower = is_letter & cases.equals(UPPER), is_letter & cases.equals(LOWER)

    def mark(g: Graph) -> list[Value]:
        # The last that is a capital or small, or where letters begin.
        told = upper | lower | begins | ~is_letter
        places = g.concat([np.array([0], np.int32), places_where(g, told)])
        last = look_up(g, places, g.op("CumSum", told.cast(np.int32), np.array(0)).of_rank(1))
        behind_lower = previous(g, look_up(g, lower.cast(np.int32), last)) > 0
        # Whether there are nothing but capitals up to the end of the letters.
        ends = ~upper | begins
        places = g.concat([places_where(g, ends), np.array([0], np.int32)])
        following = look_up(g, places, g.op("CumSum", ends.cast(np.int32), np.array(0)).of_rank(1))
        is_last = look_up(g, (begins | ~is_letter).cast(np.int32), following) > 0
        is_both = is_letter & ~upper & ~lower
        cut = upper & ~begins & (behind_lower | ((previous(g, is_both.cast(np.int32)) > 0) & is_last))
        return [g.op("Max", letters.marks, cut.cast(np.int32)).sized_as(letters.marks)]

    return g.if_(any_of(g, upper), mark, lambda g: [letters.marks])[0].sized_as(letters.marks)
