"""The best ways of few words, none of them long: as in ``best``, in fewer operations.

Where there is little to do most of the time goes into starting operations. Here a round takes all symbols at once: the
best sum to each is chosen from those of the round before. So it is right for the ways of one piece first, then for
those of two, and it needs as many rounds as a word has pieces, not symbols. Nothing is added in another order, so the
sums are those of ``best``, to the last bit.
"""

import numpy as np

from m2v_export.graphs.arrays import look_up, numbered
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters
from m2v_export.text.unigram.best import Best, best_ways
from m2v_export.text.unigram.pieces import NONE

FEW_SYMBOLS = 640
"""Up to which it is quicker."""

LONGEST_WORD = 48
"""In symbols: longer words may have many pieces."""

STEPS = 4
"""Rounds between two looks at whether anything changed."""


def best_of_any(g: Graph, scores: Value, words: WordCharacters, sizes: Value) -> Best:
    """The best ways to cut words, as ``best_ways`` finds them.

    :param scores: float64 [P, lengths]. :param words: the symbols of M words, M > 0. :param sizes: int32 [M].
    """

    def few(g: Graph) -> list[Value]:
        best = few_ways(g, scores, words)
        return [best.columns, best.sums]

    def any_(g: Graph) -> list[Value]:
        best = best_ways(g, scores, words, words.firsts, sizes)
        return [best.columns, best.sums]

    are_short = g.op("ReduceMax", sizes, keepdims=1) <= LONGEST_WORD
    return Best(*g.if_((words.here.size() <= FEW_SYMBOLS) & are_short, few, any_))


def few_ways(g: Graph, scores: Value, words: WordCharacters) -> Best:
    """:param scores: float64 [P, lengths], of the pieces that end at each symbol, the longest first."""
    lengths = scores.size(1)
    length = (lengths - numbered(g, lengths)).cast(np.int32)
    here = words.here.unsqueeze(1)
    before = here - length
    is_first = before.equals((look_up(g, words.firsts, words.word) - 1).unsqueeze(1))
    # What begins a word adds nothing more to its own sum, so that this stays.
    more = g.op("Where", is_first, np.array(0.0), scores).of_rank(2)
    # Before the first word there is no piece.
    from_ = g.op("Where", is_first, here, g.op("Max", before, np.array(0, np.int32))).reshape(-1)

    # Asked for once, not in each round.
    shape = g.op("Shape", more)

    def reached(g: Graph, sums: Value, by: Value) -> Value:
        return g.op("Reshape", look_up(g, sums, from_), shape, allowzero=1).sized_as(by)

    def some_rounds(g: Graph, _: Value, sums: Value) -> tuple[Value, list[Value], list[Value]]:
        earlier = sums
        for _i in range(STEPS):
            earlier = sums
            sums = g.op("ReduceMax", reached(g, sums, more) + more, np.array([1]), keepdims=0).of_rank(1)
        return g.op("ReduceMax", sums - earlier, keepdims=0) > 0, [sums], []

    first = g.op("ReduceMax", g.op("Where", is_first, scores, np.array(NONE)), np.array([1]), keepdims=0).of_rank(1)
    (sums,) = g.loop([first], some_rounds)
    behind = g.op("Where", is_first, np.array(0.0), reached(g, sums, more))
    # The first of equal ones is the longest.
    best, column = g.op_many("TopK", 2, behind + scores, np.array([1]), axis=1)
    return Best(column.reshape(-1), best.reshape(-1))
