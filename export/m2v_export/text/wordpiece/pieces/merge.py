"""Putting the pieces of words in the place of these words."""

import numpy as np

from m2v_export.graphs.arrays import counted, keep, look_up, zeros_like
from m2v_export.graphs.builder import Graph, Value


def merge_at_codes(
    g: Graph, codes: Value, word_starts: Value, word_values: Value, at: Value, values: Value, text_starts: Value
) -> tuple[Value, Value]:
    """Put pieces where they begin in the codes, and keep what is there.

    :param codes: int32 [C]. :param word_starts: int32 or int64 [W + 1]. :param word_values: int32 [W + 1], of the words
        that were found.
    :param at: int32 or int64 [P], places in the unfound words. :param values: int32 [P], of pieces, else 0.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N]: values in the order of the texts, and where each text's begin.
    """
    merged = g.op("ScatterElements", zeros_like(codes), word_starts, word_values)
    merged = g.op("ScatterElements", merged, at, values)
    some = merged > 0
    return keep(g, merged, some), look_up(g, counted(g, some.cast(np.int32)), text_starts)
