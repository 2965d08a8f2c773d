"""The order of marks: canonical decomposition sorts the marks after a letter by their class.

Most marks are removed with the accents. This is for tokenizers with marks of several classes in the vocabulary that are
not: the library's list of accents is older than those of some scripts.
"""

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import END, any_of, look_up, numbered, ones
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.alphabet import Alphabet

RUN_BITS, CLASS_BITS = 40, 32
"""Where a run's number and a mark's class begin in the sorting key; below is the place."""


def sort_marks(g: Graph, codes: Value, starts: Value, alphabet: Alphabet, classes: npt.NDArray[np.int32]) -> Value:
    """Sort each run of marks by class, those of one class in their order.

    :param codes: int32 [C]. :param starts: int32 [N], the first of each text.
    :return: int32 [C].
    """
    return sorted_by_class(
        g, codes, look_up(g, g.constant(classes, "mark_classes"), indices_of(g, codes, alphabet)), starts
    )


def sorted_by_class(g: Graph, values: Value, class_: Value, starts: Value) -> Value:
    """Sort each run of what has a class by it, what has the same in its order.

    :param values: int32 [C]. :param class_: int32 [C], 0 for none.
    :param starts: int32 [N], places that runs do not reach over.
    :return: int32 [C].
    """
    before, after = class_.slice(0, -1), class_.slice(1, END)

    def sort(g: Graph) -> list[Value]:
        begins = class_.equals(0).cast(np.int32)
        begins = g.op("ScatterElements", begins, starts, ones(g, starts.size()), reduction="max")
        run = g.op("CumSum", begins, np.array(0)).of_rank(1).cast(np.int64)
        key = run * (1 << RUN_BITS) + class_.cast(np.int64) * (1 << CLASS_BITS) + numbered(g, values.size())
        _, order = g.op_many("TopK", 2, key, values.size(), largest=0)
        return [look_up(g, values, order)]

    return g.if_(any_of(g, (before > after) & (after > 0)), sort, lambda g: [values])[0]


def indices_of(g: Graph, codes: Value, alphabet: Alphabet) -> Value:
    """:param codes: int32 [P], of characters and separators. :return: int32 [P], places in a table of ``size``."""
    return g.op("BitwiseAnd", codes, alphabet.size - 1)
