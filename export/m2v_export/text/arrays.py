"""Small operations on vectors that the stages share."""

import numpy as np

from m2v_export.graph import Branch, Graph, Value
from m2v_export.pooling import END, lengths_of, look_up

__all__ = [
    "END",
    "any_of",
    "counted",
    "groups",
    "if_longer",
    "keep",
    "lengths_of",
    "longest_of",
    "look_up",
    "numbered",
    "ones",
    "positions",
    "reachable",
    "runs",
    "zeros",
]


def positions(g: Graph, flags: Value) -> Value:
    """:param flags: bool or int32 [P]. :return: int64 [Q], where they are not 0, ascending."""
    return g.op("NonZero", flags.cast(np.int32)).reshape(-1)


def keep(g: Graph, values: Value, kept: Value) -> Value:
    """:param values: [P]. :param kept: bool [P]. :return: values' dtype [Q]."""
    return g.op("Compress", values, kept, axis=0)


def ones(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int32 [size]."""
    return g.op("Expand", np.array([1], np.int32), size).of_rank(1)


def zeros(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int32 [size]."""
    return g.op("Expand", np.array([0], np.int32), size).of_rank(1)


def numbered(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int64 [size]: 0, 1, 2, ..."""
    return g.op("Range", np.array(0), size.squeeze(0), np.array(1))


def counted(g: Graph, counts: Value) -> Value:
    """The sum of what is before each place.

    :param counts: int32 or int64 [P]. :return: the same dtype, [P].
    """
    return g.op("CumSum", counts, np.array(0), exclusive=1).of_rank(1)


def any_of(g: Graph, flags: Value) -> Value:
    """:param flags: bool [P]. :return: bool []: whether one is true; False for none."""
    padded = g.concat([flags.cast(np.int32), np.array([0], np.int32)])
    return g.op("ReduceMax", padded, keepdims=0) > 0


def longest_of(g: Graph, offsets: Value, end: Value) -> Value:
    """:return: int64 [1]: the greatest of ``lengths_of``, 0 for none."""
    return g.op("ReduceMax", g.concat([lengths_of(g, offsets, end), np.array([0])]))


def if_longer(g: Graph, offsets: Value, end: Value, most: int, then: Branch, otherwise: Branch) -> list[Value]:
    """``then`` where a run is longer than that, which needs no look at the runs where all together are not.

    :param offsets: int64 [N], ascending. :param end: int64 [1].
    """

    def look(g: Graph) -> list[Value]:
        return g.if_(longest_of(g, offsets, end) > most, then, otherwise)

    return g.if_(end > most, look, otherwise)


def groups(g: Graph, counts: Value) -> tuple[Value, Value]:
    """Number the members of consecutive groups: ``[2, 1, 3]`` gives ``[0, 0, 1, 2, 2, 2]`` and ``[0, 1, 0, 0, 1, 2]``.

    :param counts: int64 [M], each at least 1, M at least 1.
    :return: int64 [P], int64 [P]: each member's group and its place in the group.
    """
    ends = g.op("CumSum", counts, np.array(0)).of_rank(1)
    total = ends.slice(-1, END)
    later = ends.slice(0, -1)
    marks = g.op("ScatterElements", zeros(g, total), later, ones(g, later.size()))
    group = g.op("CumSum", marks, np.array(0)).of_rank(1).cast(np.int64)
    return group, numbered(g, total) - look_up(g, ends - counts, group)


def runs(g: Graph, values: Value, starts: Value, lengths: Value) -> tuple[Value, Value]:
    """Keep some runs of a vector, and its last element.

    :param values: [P], P > 0. :param starts: int64 [N]. :param lengths: int64 [N], 0 and more.
    :return: values' dtype [Q], int64 [N]: what is kept, in the runs' order, and where each begins.
    """
    some = lengths > 0
    last = values.size() - 1
    places = g.concat([keep(g, starts, some), last])
    group, place = groups(g, g.concat([keep(g, lengths, some), np.array([1])]))
    return look_up(g, values, look_up(g, places, group) + place), counted(g, lengths)


def reachable(g: Graph, marks: Value, jump: Value) -> Value:
    """Mark what can be reached from what is marked, in rounds that double the distance.

    :param marks: int32 [P], 0 or 1, P > 0.
    :param jump: int64 [P], the place that each leads to, a later one; the last leads to itself and ends all chains.
    :return: int32 [P].
    """
    last = jump.size() - 1

    def goes_on(g: Graph, jump: Value) -> Value:
        return (g.op("ReduceMin", jump) < last).squeeze(0)

    def one_round(g: Graph, _: Value, marks: Value, jump: Value) -> tuple[Value, list[Value], list[Value]]:
        # Several places may lead to one: a maximum is defined where they do.
        marks = g.op("ScatterElements", marks, jump, marks, reduction="max")
        jump = look_up(g, jump, jump)
        return goes_on(g, jump), [marks, jump], []

    # All chains lead somewhere, or there would be nothing to look for: no need to ask before the first round.
    return g.loop([marks, jump], one_round)[0]
