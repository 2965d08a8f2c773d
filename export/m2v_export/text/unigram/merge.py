"""The pieces of some words in the place of these words."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, later, look_up, places_of_all, zeros, zeros_like
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
    before = later(g, up_to, -1)
    kept = ends.cast(np.bool_)
    return Tokens(keep(g, values, kept), keep(g, words.word, kept), up_to - before, before)


def fused(g: Graph, tokens: Tokens, is_unknown: Value) -> Tokens:
    """Unknown tokens of a word in a row are one.

    :param is_unknown: int32 [Q], 1 for those.
    """
    again = later(g, is_unknown, -1) * is_unknown
    again = again * later(g, tokens.words, -1).equals(tokens.words).cast(np.int32)

    def without(g: Graph) -> list[Value]:
        kept = again < 1
        gone = g.op("ScatterElements", zeros_like(tokens.counts), tokens.words, again, reduction="add")
        gone_before = look_up(g, counted(g, g.op("Pad", again, np.array([0, 1])).of_rank(1)), tokens.before)
        values, words = keep(g, tokens.values, kept), keep(g, tokens.words, kept)
        return [values, words, tokens.counts - gone, tokens.before - gone_before]

    some = g.op("ReduceMax", again, keepdims=0) > 0
    return Tokens(*g.if_(some, without, lambda g: [tokens.values, tokens.words, tokens.counts, tokens.before]))


def merge_words(g: Graph, values: Value, unfound: Value, tokens: Tokens) -> tuple[Value, Value]:
    """:param values: int32 [W + 1], of the words that were found. :param unfound: int64 [M], the others.
    :return: int32 [T], int32 [W + 1]: values in the order of the words, and where each word's begin.
    """
    counts = g.op("ScatterElements", zeros_like(values) + 1, unfound, tokens.counts)
    begins = counted(g, counts)
    # The last word is the end, and is left out.
    merged = zeros(g, (begins.slice(-1, END) + 1).cast(np.int64))
    merged = g.op("ScatterElements", merged, begins, values)
    at = places_of_all(g, tokens.values) + look_up(g, look_up(g, begins, unfound) - tokens.before, tokens.words)
    return g.op("ScatterElements", merged, at, tokens.values).slice(0, -1), begins
