"""Characters of one kind in a row."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import later, look_up, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.characters import Characters
from m2v_export.text.bpe.expressions import BOUNDARY


@dataclass(frozen=True, eq=False)
class Runs:
    """Characters of one kind in a row, in one text; added tokens are each for itself.

    :ivar firsts: int32 [K], the first character of each. :ivar sizes: int32 [K].
    :ivar kinds: int32 [K]. :ivar before: int32 [K], the kind before, BOUNDARY where a text begins.
    :ivar behind: int32 [K], the kind behind, BOUNDARY where a text ends.
    """

    firsts: Value
    sizes: Value
    kinds: Value
    before: Value
    behind: Value


def runs_of(g: Graph, text: Characters) -> Runs:
    before = previous(g, text.kinds, BOUNDARY)
    before = g.op("ScatterElements", before, text.starts, zeros_like(text.starts) + BOUNDARY).sized_as(text.kinds)
    firsts = places_where(g, ~text.kinds.equals(before) | text.kinds.equals(BOUNDARY))
    kinds, before = look_up(g, text.kinds, firsts), look_up(g, before, firsts)
    begins_text = later(g, before, 1).equals(BOUNDARY)
    behind = g.op("Where", begins_text, np.array(BOUNDARY, np.int32), later(g, kinds, 1)).sized_as(kinds)
    return Runs(firsts, later(g, firsts, 1) - firsts, kinds, before, behind)
