"""Put the pieces of the missed words where these words were.

What is merged are values: of the words that were found, and of pieces; 0 where there is nothing. Few words: values are
written where they begin in the codes. Many: every word gets as many slots as it has places, the found ones one, which
leaves less to look through.
"""

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END, counted, counted_at, keep, look_up, ones, zeros
from m2v_export.text.places import MissedPlaces
from m2v_export.text.words import WordPlaces


def merge_at_codes(
    g: Graph, words: WordPlaces, word_values: Value, places: MissedPlaces, values: Value, text_starts: Value
) -> tuple[Value, Value]:
    """:param word_values: int32 [W + 1]. :param values: int32 [P], at all places of the missed words.
    :param text_starts: int64 [N], where each text begins in the codes.
    :return: int32 [T], int64 [N]: values in the order of the texts, and where each text's begin.
    """
    merged = g.op("ScatterElements", zeros(g, words.codes.size()), words.starts, word_values)
    merged = g.op("ScatterElements", merged, places.at, values)
    some = merged > 0
    return keep(g, merged, some), look_up(g, counted(g, some.cast(np.int32)), text_starts).cast(np.int64)


def merge_at_words(
    g: Graph,
    words: WordPlaces,
    word_values: Value,
    missed: Value,
    sizes: Value,
    places: MissedPlaces,
    values: Value,
    text_starts: Value,
) -> tuple[Value, Value]:
    """As ``merge_at_codes``.

    :param missed: int64 [M], which words. :param sizes: int32 [M], their places.
    """
    slots = g.op("ScatterElements", ones(g, word_values.size()), missed, sizes)
    last = g.op("CumSum", slots, np.array(0)).of_rank(1)
    first = last - slots
    merged = g.op("ScatterElements", zeros(g, last.slice(-1, END).cast(np.int64)), first, word_values)
    slot = places.here + look_up(g, look_up(g, first, missed) - places.firsts, places.word)
    merged = g.op("ScatterElements", merged, slot, values)
    some = merged > 0
    first_words = counted_at(g, words.begins, text_starts)
    before = look_up(g, counted(g, some.cast(np.int32)), look_up(g, first, first_words))
    return keep(g, merged, some), before.cast(np.int64)
