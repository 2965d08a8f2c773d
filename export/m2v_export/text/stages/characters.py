"""The characters of some words, end to end."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import look_up, zeros_like
from m2v_export.graphs.builder import Graph, Value


@dataclass(frozen=True, eq=False)
class WordCharacters:
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


def characters_of(g: Graph, starts: Value, sizes: Value) -> WordCharacters:
    """:param starts: int32 [M], M > 0, each word's place in the codes. :param sizes: int32 [M], its places."""
    ends = g.op("CumSum", sizes, np.array(0)).of_rank(1)
    firsts = ends - sizes
    here = g.op("Range", np.array(0, np.int32), g.op("ReduceSum", sizes, keepdims=0), np.array(1, np.int32))
    begins = g.op("ScatterElements", zeros_like(here), firsts, zeros_like(sizes) + 1).of_rank(1)
    word = g.op("CumSum", begins, np.array(0)).of_rank(1) - 1
    at = here + look_up(g, starts - firsts, word)
    return WordCharacters(here, at, word, firsts, begins, look_up(g, ends, word) - here)
