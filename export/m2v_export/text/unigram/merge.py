"""The pieces of some words in the place of these words."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, look_up, places_of_all, previous, zeros, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of some words, end to end.

    :ivar values: int32 [Q]. :ivar words: int32 [Q], the number of each one's word, ascending.
    :ivar counts: int32 [M], how many each word has. :ivar before: int32 [M], how many are before each word.
    """

    values: Value
    words: Value
    counts: Value
    before: Value


def tokens_of(g: Graph, values: Value, ends: Value, words: WordCharacters, sizes: Value) -> Tokens:
    """:param values: int32 [P], of the last piece of the best way to each symbol.
    :param ends: int32 [P], 1 where a piece ends. :param sizes: int32 [M], symbols of each word.
    """
    up_to = look_up(g, g.op("CumSum", ends, np.array(0)).of_rank(1), words.firsts + sizes - 1)
    before = previous(g, up_to)
    kept = ends.cast(np.bool_)
    return Tokens(keep(g, values, kept), keep(g, words.word, kept), up_to - before, before)


def without(g: Graph, tokens: Tokens, gone: Value) -> Tokens:
    """:param gone: int32 [Q], 1 for tokens to leave out, 0 for others."""

    def left(g: Graph) -> list[Value]:
        kept = gone < 1
        of_words = g.op("ScatterElements", zeros_like(tokens.counts), tokens.words, gone, reduction="add")
        gone_before = look_up(g, counted(g, g.op("Pad", gone, np.array([0, 1])).of_rank(1)), tokens.before)
        values, words = keep(g, tokens.values, kept), keep(g, tokens.words, kept)
        return [values, words, tokens.counts - of_words, tokens.before - gone_before]

    some = g.op("ReduceMax", gone, keepdims=0) > 0
    return Tokens(*g.if_(some, left, lambda g: [tokens.values, tokens.words, tokens.counts, tokens.before]))


def merge_words(g: Graph, values: Value, unfound: Value, tokens: Tokens) -> tuple[Value, Value]:
    """:param values: int32 [W + 1], of the words that were found. :param unfound: int64 [M], the others.
    :return: int32 [T], int32 [W + 1]: values in the order of the words, and where each word's begin.
    """
    counts = g.op("ScatterElements", zeros_like(values) + 1, unfound, tokens.counts)
    begins = counted(g, counts)
    # The last word is the end, and is left out. A word without tokens goes there.
    end = begins.slice(-1, END)
    merged = zeros(g, (end + 1).cast(np.int64))
    merged = g.op("ScatterElements", merged, g.op("Where", counts > 0, begins, end), values)
    at = places_of_all(g, tokens.values) + look_up(g, look_up(g, begins, unfound) - tokens.before, tokens.words)
    return g.op("ScatterElements", merged, at, tokens.values).slice(0, -1), begins


def fused(g: Graph, values: Value, begins: Value, is_unknown: Value, apart: Value) -> tuple[Value, Value]:
    """Unknown tokens in a row are one.

    :param values: int32 [T]. :param begins: int32 [W + 1], where each word's tokens begin.
    :param is_unknown: int32 [T], 1 for unknown tokens.
    :param apart: int32 or int64 [A], words that what is before them is no part of.
    :return: as ``values`` and ``begins``.
    """
    behind = g.op("Pad", is_unknown, np.array([1, 0])).of_rank(1)
    first = look_up(g, begins, apart)
    again = g.op("ScatterElements", behind, first, zeros_like(first)).slice(0, -1).sized_as(is_unknown) * is_unknown

    def once(g: Graph) -> list[Value]:
        gone = counted(g, g.op("Pad", again, np.array([0, 1])).of_rank(1))
        return [keep(g, values, again < 1), begins - look_up(g, gone, begins)]

    some = g.op("ReduceMax", again, keepdims=0) > 0
    merged, starts = g.if_(some, once, lambda g: [values, begins])
    return merged, starts
