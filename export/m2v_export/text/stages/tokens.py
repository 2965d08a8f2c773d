"""The tokens of words that were not found whole, and where they go among the others."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, counted, look_up, places_of_all, zeros, zeros_like
from m2v_export.graphs.builder import Graph, Value


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of some words, each word's together.

    :ivar values: int32 [Q]. :ivar words: int32 [Q], the number of each one's word.
    :ivar counts: int32 [M], how many each word has. :ivar before: int32 [M], how many are before each word.
    """

    values: Value
    words: Value
    counts: Value
    before: Value


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
