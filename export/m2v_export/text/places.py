"""The characters of the missed words, and their pieces at these places."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import counted, keep, look_up, zeros_like


@dataclass(frozen=True, eq=False)
class MissedPlaces:
    """The characters of some words, with what separates them from the next words.

    :ivar here: int32 [P], 0, 1, 2, ...
    :ivar at: int32 [P], the place in the codes.
    :ivar word: int32 [P], the number of the word.
    :ivar firsts: int32 [M], each word's first place.
    :ivar begins: int32 [P], 1 where a word begins, else 0.
    :ivar left: int32 [P], places to the next word's.
    """

    here: Value
    at: Value
    word: Value
    firsts: Value
    begins: Value
    left: Value


def places_of(g: Graph, starts: Value, sizes: Value) -> MissedPlaces:
    """:param starts: int32 [M], M > 0, each word's place in the codes. :param sizes: int32 [M], its places."""
    ends = g.op("CumSum", sizes, np.array(0)).of_rank(1)
    firsts = ends - sizes
    here = g.op("Range", np.array(0, np.int32), g.op("ReduceSum", sizes, keepdims=0), np.array(1, np.int32))
    begins = g.op("ScatterElements", zeros_like(here), firsts, zeros_like(sizes) + 1).of_rank(1)
    word = g.op("CumSum", begins, np.array(0)).of_rank(1) - 1
    at = here + look_up(g, starts - firsts, word)
    return MissedPlaces(here, at, word, firsts, begins, look_up(g, ends, word) - here)


def merge_at_codes(
    g: Graph, codes: Value, word_starts: Value, word_values: Value, at: Value, values: Value, text_starts: Value
) -> tuple[Value, Value]:
    """Put pieces where they begin in the codes, and keep what is there.

    :param codes: int32 [C]. :param word_starts: int32 or int64 [W + 1]. :param word_values: int32 [W + 1], of the words
        that were found.
    :param at: int32 or int64 [P], places in the missed words. :param values: int32 [P], of pieces, else 0.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N]: values in the order of the texts, and where each text's begin.
    """
    merged = g.op("ScatterElements", zeros_like(codes), word_starts, word_values)
    merged = g.op("ScatterElements", merged, at, values)
    some = merged > 0
    return keep(g, merged, some), look_up(g, counted(g, some.cast(np.int32)), text_starts)
