"""The best way to cut words into pieces (Viterbi 1967): one symbol a round, of all words that go on."""

import numpy as np

from m2v_export.graphs.arrays import END, look_up, places_of_all, reachable, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters
from m2v_export.text.unigram.pieces import NEAR, NONE


def best_ways(
    g: Graph, scores: Value, words: WordCharacters, starts: Value, sizes: Value, before: Value | None = None
) -> tuple[Value, Value]:
    """Sums are added from the left, and of equal sums the longest piece wins, as in `tokenizers`.

    :param scores: float64 [S, lengths], of the pieces that end at each symbol, the longest first; NONE where none does.
    :param words: the symbols of M words, M > 0. :param starts: int32 [M], where each word begins in ``scores``.
    :param sizes: int32 [M], symbols of each word, at least 1.
    :param before: float64 [M], what was added up before each word; None for nothing.
    :return: int32 [P], int32 [P]: of the best way to each symbol of the words the column of the last piece, and 1 where
        another one is nearly as good.
    """
    lengths, order = g.op_many("TopK", 2, sizes, sizes.size(), largest=1)
    starts = look_up(g, starts, order).cast(np.int64)
    columns = scores.size(1)
    sums = np.zeros((1, 1)) if before is None else look_up(g, before, order).unsqueeze(1)
    shape = g.concat([sizes.size(), columns - 1])
    none = g.op("Expand", np.array([[NONE]]), shape).of_rank(2)
    first = g.op("Expand", sums, g.concat([sizes.size(), np.array([1])])).of_rank(2)

    def one_symbol(g: Graph, i: Value, sums: Value) -> tuple[None, list[Value], list[Value]]:
        going = g.op("ReduceSum", (lengths > i.cast(np.int32)).cast(np.int64), keepdims=1).of_rank(1)
        places = g.op("Slice", starts, np.array([0]), going).of_rank(1) + i
        sums = g.op("Slice", sums, np.array([0]), going).of_rank(2)
        reached = sums + g.op("Gather", scores, places, axis=0)
        best = g.op("ReduceMax", reached, np.array([1]), keepdims=1)
        # The first of equal ones is the longest.
        column = g.op("ArgMax", reached, axis=1, keepdims=0).cast(np.int32)
        good = g.op("ReduceSum", (reached > best - NEAR).cast(np.int32), np.array([1]), keepdims=0)
        said = column * 2 + (good > 1).cast(np.int32)
        missing = g.concat([np.array([0]), sizes.size() - going])
        return None, [g.concat([sums.slice(1, END, axis=1), best], axis=1)], [g.op("Pad", said, missing).of_rank(1)]

    trips = lengths.slice(0, 1).squeeze(0).cast(np.int64)
    _, said = g.loop([g.concat([none, first], axis=1)], one_symbol, trips=trips)
    # From rounds and ranks to places.
    ranks = g.op("ScatterElements", order, order, places_of_all(g, order).cast(np.int64))
    step = words.here - look_up(g, words.firsts, words.word)
    at = step.cast(np.int64) * sizes.size() + look_up(g, ranks, words.word)
    said = look_up(g, said.reshape(-1), at)
    return said // 2, said % 2


def ends_of(g: Graph, chosen: Value, columns: Value, words: WordCharacters, sizes: Value) -> Value:
    """Where the pieces of the best ways end: from each word's last one to the one before, and so on.

    :param chosen: int32 [P], see ``best_ways``. :param columns: int64 [1], of the scores. :param sizes: int32 [M].
    :return: int32 [P], 1 there, else 0.
    """
    lengths = columns.cast(np.int32) - chosen
    step = words.here - look_up(g, words.firsts, words.word)
    # The first piece of a word leads to itself.
    jump = words.here - lengths * (lengths <= step).cast(np.int32)
    last = words.firsts + sizes - 1
    marks = g.op("ScatterElements", zeros_like(words.here), last, zeros_like(sizes) + 1)
    return reachable(g, marks, jump, back=True)
