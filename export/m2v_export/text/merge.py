"""Put the pieces of the missed words where these words were."""

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END, counted, look_up, numbered, ones, zeros


def merge(
    g: Graph, word_ids: Value, missed: Value, piece_ids: Value, piece_words: Value, pieces_per_word: Value
) -> tuple[Value, Value]:
    """Put the pieces of some words in the place of these words.

    :param word_ids: int32 [W], of the others. :param missed: int64 [M], which words, ascending.
    :param piece_ids: int32 [Q], in order. :param piece_words: int32 [Q], the index in ``missed`` of each.
    :param pieces_per_word: int32 [M], at least 1.
    :return: int32 [W - M + Q], int64 [W + 1]: ids, and how many there are before each word.
    """
    # One word more, at the end.
    counts = g.op("ScatterElements", ones(g, word_ids.size() + 1), missed, pieces_per_word)
    before = counted(g, counts).cast(np.int64)
    first = counted(g, pieces_per_word).cast(np.int64)
    places = look_up(g, look_up(g, before, missed) - first, piece_words) + numbered(g, piece_ids.size())
    ids = g.op("ScatterElements", zeros(g, before.slice(-1, END)), before.slice(0, -1), word_ids)
    return g.op("ScatterElements", ids, places, piece_ids), before
