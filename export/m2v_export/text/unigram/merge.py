"""Putting the pieces of words in the place of these words."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, look_up, places_of_all, zeros
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


def tokens_of(g: Graph, values: Value, kept: Value, words: WordCharacters, sizes: Value) -> Tokens:
    """:param values: int32 [P], of the piece that ends at each symbol. :param kept: int32 [P], 1 where one does.
    :param sizes: int32 [M], symbols of each word.
    """
    sums = g.op("CumSum", kept, np.array(0)).of_rank(1)
    up_to = look_up(g, sums, words.firsts + sizes - 1)
    before = g.op("Pad", up_to, np.array([1, -1])).sized_as(up_to)
    is_kept = kept.cast(np.bool_)
    return Tokens(keep(g, values, is_kept), keep(g, words.word, is_kept), up_to - before, before)


def merge_words(g: Graph, values: Value, unfound: Value, tokens: Tokens, first_words: Value) -> tuple[Value, Value]:
    """:param values: int32 [W + 1], of the words that were found. :param unfound: int64 [M], the others.
    :param first_words: int32 [N], the number of each text's first word.
    :return: int32 [T], int32 [N]: values in the order of the texts, and where each text's begin.
    """
    counts = g.op("ScatterElements", values - values + 1, unfound, tokens.counts)
    begins = counted(g, counts)
    # The last word is the end, and is left out.
    merged = zeros(g, (begins.slice(-1, END) + 1).cast(np.int64))
    merged = g.op("ScatterElements", merged, begins, values)
    at = places_of_all(g, tokens.values) + look_up(g, look_up(g, begins, unfound) - tokens.before, tokens.words)
    merged = g.op("ScatterElements", merged, at, tokens.values)
    return merged.slice(0, -1), look_up(g, begins, first_words)
