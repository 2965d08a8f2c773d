"""The characters of the missed words."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END, look_up, ones, zeros


@dataclass(frozen=True, eq=False)
class MissedPlaces:
    """The characters of some words, with what separates them from the next words.

    :ivar here: int32 [P], 0, 1, 2, ...
    :ivar at: int32 [P], the place in the codes.
    :ivar word: int32 [P], the number of the word.
    :ivar firsts: int32 [M], each word's first place.
    :ivar inside: int32 [P], 0 where a word begins, else 1.
    :ivar left: int32 [P], places to the next word's.
    :ivar zeros: int32 [M].
    """

    here: Value
    at: Value
    word: Value
    firsts: Value
    inside: Value
    left: Value
    zeros: Value


def places_of(g: Graph, starts: Value, sizes: Value) -> MissedPlaces:
    """:param starts: int32 [M], M > 0, each word's place in the codes. :param sizes: int32 [M], its places."""
    ends = g.op("CumSum", sizes, np.array(0)).of_rank(1)
    firsts, total = ends - sizes, ends.slice(-1, END)
    none = zeros(g, sizes.size())
    inside = g.op("ScatterElements", ones(g, total.cast(np.int64)), firsts, none).of_rank(1)
    here = g.op("Range", np.array(0, np.int32), total.squeeze(0), np.array(1, np.int32))
    word = here - g.op("CumSum", inside, np.array(0)).of_rank(1)
    at = here + look_up(g, starts - firsts, word)
    return MissedPlaces(here, at, word, firsts, inside, look_up(g, ends, word) - here, none)
