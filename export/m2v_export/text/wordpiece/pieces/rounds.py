"""Many words: one piece a round, of all words that go on."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, counted, counted_at, keep, look_up, numbered, ones, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.words import WordPlaces, begin_at
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.trie import DEAD

ROUND = 1 << 32
"""A round, above the number of a word."""


@dataclass(frozen=True, eq=False)
class FoundInRounds:
    """The pieces of the unfound words, found round by round: first those of round 0, one for each word.

    :ivar values: int32 [Q]. :ivar words: int32 [Q], the number of the unfound word. :ivar rounds: int32 [Q].
    """

    values: Value
    words: Value
    rounds: Value


def match_in_rounds(
    g: Graph,
    pieces: Pieces,
    words: WordPlaces,
    ids: Value,
    unfound: Value,
    starts: Value,
    too_long: Value,
    text_starts: Value,
) -> tuple[Value, Value, Value]:
    """Put the pieces of some words in the place of these words.

    :param ids: int32 [W + 1], of the others. :param unfound: int64 [M], M > 0, which words, ascending; the last is the
        end.
    :param starts: int32 [M], each word's place in the codes.
    :param too_long: int32 [M], 1 for words that are unknown for their length.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N], bool []: ids, where each text's begin, and whether a word is unknown.
    """
    # Of words that are too long nothing is looked for: they begin at the end.
    starts = g.op("Where", too_long > 0, starts.slice(-1, END), starts)
    found = find_in_rounds(g, pieces, words, starts)
    died = keep(g, found.words, found.values.equals(DEAD))
    unknown = g.op("ScatterElements", too_long, died, ones(g, died.size()))
    found = FoundInRounds(pieces.ids(found.values), found.words, found.rounds)
    begins = begin_at(words.nodes, pieces.alphabet)
    merged = merge_at_words(g, begins, ids, unfound, found, unknown, pieces.unk_id, text_starts)
    return *merged, g.op("ReduceMax", unknown, keepdims=0) > 0


def find_in_rounds(g: Graph, pieces: Pieces, words: WordPlaces, starts: Value) -> FoundInRounds:
    """:param starts: int32 [M], each word's place in the codes."""
    prefixes = pieces.by_packs(words.packs)

    def one_round(
        g: Graph, _: Value, at: Value, nodes: Value, word: Value, values: Value, of_words: Value
    ) -> tuple[Value, list[Value], list[Value]]:
        found = pieces.longest(g, prefixes, at, nodes)
        length = pieces.length(found)
        after = at + length
        nodes_after = look_up(g, words.nodes, after)
        # A piece is found, and what follows is part of a word, and no begin: no separator either, marked or not.
        goes_on = g.op("Min", length, nodes_after, (pieces.alphabet.isolated - 1) - nodes_after) > 0
        done = [g.concat([values, found]), g.concat([of_words, word])]
        following = [keep(g, of, goes_on) for of in (after, nodes_after, word + ROUND)]
        return g.op("Size", following[0]) > 0, [*following, *done], []

    word = numbered(g, starts.size())
    nothing = (g.constant(np.zeros(0, dtype)) for dtype in (np.int32, np.int64))
    values, of_words = g.loop([starts, look_up(g, words.nodes, starts), word, *nothing], one_round)[3:]
    return FoundInRounds(
        values, g.op("BitwiseAnd", of_words, ROUND - 1).cast(np.int32), (of_words // ROUND).cast(np.int32)
    )


def merge_at_words(
    g: Graph,
    begins: Value,
    ids: Value,
    unfound: Value,
    found: FoundInRounds,
    unknown: Value,
    unk_id: int,
    text_starts: Value,
) -> tuple[Value, Value]:
    """Of each word is known how many pieces it has, so that their places among the tokens are counted.

    :param begins: bool [C], where words begin. :param ids: int32 [W + 1].
    :param unfound: int64 [M], which words; the last is the end.
    :param found: with ids as values. :param unknown: int32 [M], 1 for the words that become the unknown token.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N]: ids in the order of the texts, and where each text's begin.
    """
    # Pieces after a word's first one: how many of the word's own are before.
    later = found.rounds * look_up(g, 1 - unknown, found.words)
    more = g.op("ScatterElements", zeros_like(unknown), found.words, later, reduction="max")
    before = counted(g, g.op("ScatterElements", zeros_like(ids), unfound, more))
    firsts = g.op("Slice", found.values, np.array([0]), unfound.size())
    firsts = g.op("Where", unknown > 0, np.array(unk_id, np.int32), firsts)
    ids = g.op("ScatterElements", ids, unfound, firsts)
    is_later = later > 0
    place = look_up(g, unfound.cast(np.int32) + look_up(g, before, unfound), keep(g, found.words, is_later))
    place = place + keep(g, later, is_later)
    # The word of each token: the next one behind all but later pieces, and what stands at these is replaced.
    total = before.slice(-1, END).cast(np.int64) + ids.size() - 1
    goes_on = g.op("ScatterElements", ones(g, total), place, zeros_like(place))
    tokens = look_up(g, ids, counted(g, goes_on))
    tokens = g.op("ScatterElements", tokens, place, keep(g, found.values, is_later))
    first_words = counted_at(g, begins, text_starts)
    return tokens, first_words + look_up(g, before, first_words)
