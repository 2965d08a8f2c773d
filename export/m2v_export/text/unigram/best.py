"""The best way to cut words into pieces (Viterbi 1967): some symbols a round, of all words that go on.

Sums are float64, added from the left, and of equal sums the longest piece wins, as in `tokenizers`.
"""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import (
    END,
    counted,
    look_up,
    numbered,
    places_of_all,
    places_where,
    reachable,
    zeros,
    zeros_like,
)
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters
from m2v_export.text.unigram.pieces import NEAR, NONE

STEPS = 4
"""Symbols of a round: the start of a round takes as long as some operations."""

ROUNDS = 32
"""Of a block. What a block finds has room for all its words in every round, so that a long word takes room for itself
alone."""


@dataclass(frozen=True, eq=False)
class Best:
    """:ivar columns: int64 [P], of the last piece of the best way to each symbol. :ivar sums: float64 [P]."""

    columns: Value
    sums: Value


def best_ways(
    g: Graph, scores: Value, words: WordCharacters, starts: Value, sizes: Value, before: Value | None = None
) -> Best:
    """:param scores: float64 [S, lengths], of the pieces that end at each symbol, the longest first; NONE where none
        does.
    :param words: the symbols of M words, M > 0. :param starts: int32 [M], where each word begins in ``scores``.
    :param sizes: int32 [M], symbols of each word, at least 1.
    :param before: float64 [M], what was added up before each word; None for nothing.
    """
    sizes, starts = sizes.cast(np.int64), starts.cast(np.int64)
    count = sizes.size()
    # The longest first, so that those that go on are in front.
    lengths, order = g.op_many("TopK", 2, sizes, count, largest=1)
    starts = look_up(g, starts, order)
    longest = lengths.slice(0, 1)
    # How many words have symbols in each round, and in each block of rounds.
    of_length = g.op(
        "ScatterElements", zeros(g, longest + 1), lengths, zeros_like(lengths).cast(np.int32) + 1, reduction="add"
    )
    longer = count - g.op("CumSum", of_length.cast(np.int64), np.array(0)).of_rank(1)
    going, in_block = (
        g.op("Slice", longer, np.array([0]), np.array([END]), np.array([0]), np.array([by])).of_rank(1)
        for by in (STEPS, STEPS * ROUNDS)
    )
    first = np.zeros((1, 1, 1)) if before is None else look_up(g, before, order).unsqueeze(1, 2)
    none = g.op("Expand", np.array([[[NONE]]]), g.concat([count, np.array([1]), scores.size(1) - 1])).of_rank(3)
    first = g.op("Expand", first, g.concat([count, np.array([1, 1])])).of_rank(3)
    # A word that ends within a round goes on into what is behind it, and nobody looks there.
    scores = g.op("Pad", scores, np.array([0, 0, STEPS, 0])).of_rank(2)

    def one_block(
        g: Graph, block: Value, sums: Value, columns: Value, bests: Value
    ) -> tuple[None, list[Value], list[Value]]:
        words = g.op("Gather", in_block, block.unsqueeze(0)).of_rank(1)

        def some_symbols(g: Graph, i: Value, sums: Value) -> tuple[None, list[Value], list[Value]]:
            """:param sums: float64 [words, 1, lengths], of the best ways to the symbols before, the last one behind."""
            number = block * ROUNDS + i
            some = g.op("Gather", going, number.unsqueeze(0)).of_rank(1)
            places = g.op("Slice", starts, np.array([0]), some).of_rank(1) + number * STEPS
            places = places.unsqueeze(1) + np.arange(STEPS)
            sums = g.op("Slice", sums, np.array([0]), some).of_rank(3)
            columns, bests = [], []
            for here in g.op_many("Split", STEPS, g.op("Gather", scores, places, axis=0), axis=1, num_outputs=STEPS):
                # The first of equal ones is the longest.
                best, column = g.op_many("TopK", 2, sums + here, np.array([1]), axis=2)
                bests.append(best.of_rank(3))
                columns.append(column.of_rank(3))
                sums = g.concat([sums.slice(1, END, axis=2), bests[-1]], axis=2)
            missing = g.concat([np.array([0, 0, 0]), words - some, np.array([0, 0])])
            return None, [sums], [g.op("Pad", g.concat(of, axis=1), missing).of_rank(3) for of in (columns, bests)]

        left = (longest - block * (STEPS * ROUNDS) + (STEPS - 1)) // STEPS
        rounds = g.op("Min", left, np.array([ROUNDS])).squeeze(0)
        sums, more_columns, more_bests = g.loop([sums], some_symbols, trips=rounds)
        columns, bests = g.concat([columns, more_columns.reshape(-1)]), g.concat([bests, more_bests.reshape(-1)])
        return None, [sums, columns, bests], []

    start = g.concat([none, first], axis=2)
    nothing = [g.constant(np.zeros(0, dtype)) for dtype in (np.int64, np.float64)]
    blocks = (longest - 1) // (STEPS * ROUNDS) + 1
    _, columns, bests = g.loop([start, *nothing], one_block, trips=blocks.squeeze(0))
    # From blocks, rounds and ranks to places.
    ranks = g.op("ScatterElements", order, order, places_of_all(g, order).cast(np.int64))
    step = (words.here - look_up(g, words.firsts, words.word)).cast(np.int64)
    block, within = step // (STEPS * ROUNDS), step % (STEPS * ROUNDS)
    row = (
        look_up(g, counted(g, in_block) * ROUNDS, block)
        + within // STEPS * look_up(g, in_block, block)
        + look_up(g, ranks, words.word)
    )
    at = row * STEPS + within % STEPS
    return Best(look_up(g, columns, at), look_up(g, bests, at))


def ends_of(g: Graph, lengths: Value, words: WordCharacters, sizes: Value) -> Value:
    """Where the pieces of the best ways end: from each word's last one to the one before, and so on.

    :param lengths: int32 [P], of the last piece of the best way to each symbol. :param sizes: int32 [M], symbols.
    :return: int32 [P], 1 there, else 0.
    """
    step = words.here - look_up(g, words.firsts, words.word)
    # The first piece of a word leads to itself.
    jump = words.here - lengths * (lengths <= step).cast(np.int32)
    last = words.firsts + sizes - 1
    marks = g.op("ScatterElements", zeros_like(words.here), last, zeros_like(sizes) + 1)
    return reachable(g, marks, jump, back=True, rounds=3)


def are_near(g: Graph, scores: Value, sums: Value, words: WordCharacters, sizes: Value, ends: Value) -> Value:
    """The words that have another way that is nearly as good as the best.

    :param scores: float64 [P, lengths]. :param sums: float64 [P]. :param sizes: int32 [M]. :param ends: int32 [P].
    :return: int32 [M], 1 for those, else 0.
    """
    at = places_where(g, ends > 0)
    columns = scores.size(1)
    back = columns.cast(np.int32) - numbered(g, columns).cast(np.int32)
    step = at - look_up(g, words.firsts, look_up(g, words.word, at))
    earlier = g.op("Max", at.unsqueeze(1) - back, np.array(0, np.int32))
    # Before a word's first symbol nothing has been added up; no piece begins before that.
    before = g.op("Where", (step.unsqueeze(1) - back) < 0, np.array(0.0), look_up(g, sums, earlier))
    reached = before + g.op("Gather", scores, at, axis=0)
    good = (reached > (look_up(g, sums, at) - NEAR).unsqueeze(1)).cast(np.int32)
    near = (g.op("ReduceSum", good, np.array([1]), keepdims=0).of_rank(1) > 1).cast(np.int32)
    return g.op("ScatterElements", zeros_like(sizes), look_up(g, words.word, at), near, reduction="max").sized_as(sizes)
