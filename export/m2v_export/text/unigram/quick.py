"""Few words, none of them long: the best pieces in a fixed number of operations, without a loop.

Where there is little to do most of the time goes into starting operations. A word of up to 14 characters is a row of 16
places, between which pieces lead. All walks through the trie go 15 symbols far, whether they are on pieces or not, and
are looked at afterwards. Then sums of scores go from place to place, forwards and backwards at once. A piece is on the
best way if the sums on both sides of it and its score make the greatest sum of the word.

The order of additions is another than that of `tokenizers`, so sums that are nearly the same tell nothing. What turns
out to need more is left to the thorough way: such words, an unknown token, a blank that the text has itself.
"""

import numpy as np

from m2v_export.graphs.arrays import any_of, counted, keep, look_up, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.words import WordPlaces, is_part
from m2v_export.text.unigram.pieces import NEAR, NONE
from m2v_export.text.unigram.search import Search
from m2v_export.text.unigram.tables import UnigramTables

PLACES = 16
"""Between the symbols of a word, its begin and its end among them: a word has fewer symbols than that."""

LONGEST = PLACES - 1
"""Symbols of a word, and of a piece."""

FEW_WORDS = 32
"""Words up to which it is quicker."""

ROUNDS = 6
"""Of sums: they must not change in the last one. In English one word in some thousands has more pieces."""


def quick_pieces(
    g: Graph,
    search: Search,
    words: WordPlaces,
    values: Value,
    unfound: Value,
    text_starts: Value,
    tables: UnigramTables,
) -> list[Value]:
    """Put pieces into the place of the words that are not one, if these are few and simple enough.

    :param values: int32 [W + 1], of the words that were found. :param unfound: int64 [M], M > 0, the others.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: bool [], int32 [T], int32 [N]: whether they were; if so, values, and where each text's begin.
    """

    def nothing(g: Graph) -> list[Value]:
        none = text_starts.slice(0, 0)
        return [any_of(g, none > 0), none, none]

    def few(g: Graph) -> list[Value]:
        starts, gaps = look_up(g, words.starts, unfound), look_up(g, words.gaps, unfound)
        column = np.arange(LONGEST, dtype=np.int32)[:, None]
        nodes = look_up(g, words.nodes, (starts + column).reshape(-1))
        # What separates a word from the next is behind it, and is no symbol.
        parts = is_part(g, nodes, tables.alphabet).reshape(LONGEST, -1) & (gaps > column)
        parts = parts.cast(np.int32)
        sizes = g.op("ReduceSum", parts, np.array([0]), keepdims=0).of_rank(1) + 1
        short = g.op("ReduceMax", sizes, keepdims=0) < PLACES
        if tables.literal is not None:
            first = look_up(g, words.codes, words.starts)
            short = short & ~any_of(g, first.equals(tables.literal.code))

        def cut(g: Graph) -> list[Value]:
            symbols = look_up(g, g.constant(tables.symbols, "symbols"), nodes) * parts.reshape(-1)
            blank = np.array(tables.blank, np.int32)
            symbols = g.op("Pad", symbols.reshape(LONGEST, -1), np.array([1, 0, 0, 0]), blank)
            found = _pieces(g, search, symbols)
            done, chosen = _best(g, search, found, sizes)
            # A word's first piece begins with the blank, which has no place of its own.
            behind = np.array([0, *range(1, 2 * PLACES - 2, 2)], np.int32)
            at = ((starts * 2).unsqueeze(1) + behind).reshape(-1)
            merged, offsets = _merged(g, words, values, at, chosen.reshape(-1), text_starts)
            special = merged.equals(tables.pieces.unk_id + 1) | (merged >= tables.pieces.unknown)
            return [done & ~any_of(g, special), merged, offsets]

        return g.if_(short, cut, nothing)

    return g.if_(unfound.size() <= FEW_WORDS, few, nothing)


def _pieces(g: Graph, search: Search, symbols: Value) -> Value:
    """All pieces of some words.

    :param symbols: int32 [PLACES, M], the words are columns, and end with 0, from where nothing goes on.
    :return: int32 [M * PLACES * PLACES], the value of the piece from each place to each place, else 0.
    """
    # Of each step all symbols at once: the words moved on, and 0 behind them.
    padded = g.op("Pad", symbols, np.array([0, 0, LONGEST - 1, 0]))
    moved = np.arange(LONGEST)[:, None] + np.arange(PLACES)
    here = g.op("Gather", padded, moved.reshape(-1)).reshape(-1)
    on = search.walk_at_once(g, here, LONGEST)
    values = look_up(g, search.values, on).reshape(LONGEST * PLACES, -1)
    # From lengths to ends.
    place = np.arange(PLACES)
    lengths = place - place[:, None]
    rows = np.where(lengths > 0, (lengths - 1) * PLACES + place[:, None], NOTHING)
    return g.op("Transpose", g.op("Gather", values, rows.reshape(-1)), perm=[1, 0]).reshape(-1)


NOTHING = PLACES - 1
"""The row of pieces of one symbol at the last place: there is none, for it is behind all words."""


def _best(g: Graph, search: Search, values: Value, sizes: Value) -> tuple[Value, Value]:
    """:param values: int32 [M * PLACES * PLACES]. :param sizes: int32 [M], symbols of each word.
    :return: bool [], int32 [M, PLACES]: whether each word has one best way; the value of the piece of it that begins at
        each place, else 0.
    """
    scores = search.scores(g, values).reshape(-1, PLACES, PLACES)
    stay = np.where(np.eye(PLACES, dtype=np.bool_), 0.0, NONE)
    steps = g.op("Max", scores, stay)
    back = g.op("Transpose", steps, perm=[0, 2, 1])
    forth, back = g.concat([steps, back]), g.concat([back, steps])
    ends = g.concat([zeros_like(sizes), sizes]).unsqueeze(1, 2)
    column = np.arange(PLACES, dtype=np.int32)
    sums = g.op("Where", ends.equals(column), np.array(0.0), np.array(NONE)).of_rank(3)
    before = sums
    for i in range(ROUNDS):
        before, axis = sums, 2 - i % 2
        sums = g.op("ReduceMax", (back if axis == 2 else forth) + sums, np.array([axis]), keepdims=1).of_rank(3)
    grown = g.op("ReduceMax", sums - g.op("Transpose", before, perm=[0, 2, 1]), keepdims=0)
    forwards, backwards = (of.of_rank(3) for of in g.op_many("Split", 2, sums, num_outputs=2))
    through = scores + g.op("Transpose", forwards, perm=[0, 2, 1]) + backwards
    best = g.op("ReduceMax", through, np.array([1, 2]), keepdims=1).of_rank(3)
    near = (through > best - NEAR).cast(np.int32)
    begin = g.op("ReduceSum", near, np.array([2]), keepdims=0).of_rank(2)
    chosen = g.op("ReduceSum", near * values.reshape(-1, PLACES, PLACES), np.array([2]), keepdims=0).of_rank(2)
    one = g.op("ReduceMax", begin, keepdims=0) < 2
    all_end = g.op("ReduceMin", best, keepdims=0) > NONE / 2
    return one & all_end & (grown <= 0), chosen


def _merged(
    g: Graph, words: WordPlaces, values: Value, at: Value, chosen: Value, text_starts: Value
) -> tuple[Value, Value]:
    """:param at: int32 [P], twice the place in the codes. :param chosen: int32 [P], values of pieces, else 0.
    :return: int32 [T], int32 [N]: values, and where each text's begin.
    """
    merged = g.op("Expand", np.array([0], np.int32), words.codes.size() * 2).of_rank(1)
    # The last word is the end.
    merged = g.op("ScatterElements", merged, words.starts.slice(0, -1) * 2, values.slice(0, -1))
    some = chosen > 0
    merged = g.op("ScatterElements", merged, keep(g, at, some), keep(g, chosen, some))
    some = merged > 0
    return keep(g, merged, some), look_up(g, counted(g, some.cast(np.int32)), text_starts * 2)
