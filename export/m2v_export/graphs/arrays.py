"""Small operations on vectors that the stages share."""

import numpy as np

from m2v_export.graphs.builder import Branch, Graph, Value


def positions(g: Graph, flags: Value) -> Value:
    """:param flags: int32 [P]. :return: int64 [Q], where they are not 0, ascending."""
    return g.op("NonZero", flags).reshape(-1)


def keep(g: Graph, values: Value, kept: Value) -> Value:
    """:param values: [P]. :param kept: bool [P]. :return: values' dtype [Q]."""
    return g.op("Compress", values, kept, axis=0)


def ones(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int32 [size]."""
    return g.op("Expand", np.array([1], np.int32), size).of_rank(1)


def zeros(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int32 [size]."""
    return g.op("Expand", np.array([0], np.int32), size).of_rank(1)


def zeros_like(values: Value) -> Value:
    """As ``zeros`` of that size, by one operation instead of two.

    :param values: integers [P]. :return: the same dtype, [P].
    """
    return values - values


def numbered(g: Graph, size: Value) -> Value:
    """:param size: int64 [1]. :return: int64 [size]: 0, 1, 2, ..."""
    return g.op("Range", np.array(0), size.squeeze(0), np.array(1))


def places_of_all(g: Graph, values: Value) -> Value:
    """:param values: [P]. :return: int32 [P]: 0, 1, 2, ..."""
    size = g.op("Size", values).cast(np.int32)
    return g.op("Range", np.array(0, np.int32), size, np.array(1, np.int32)).sized_as(values)


def places_where(g: Graph, flags: Value) -> Value:
    """:param flags: bool [P]. :return: int32 [Q], where they are true, ascending; NonZero takes longer."""
    return keep(g, places_of_all(g, flags), flags)


def counted_at(g: Graph, flags: Value, at: Value) -> Value:
    """How many are true before some places.

    :param flags: bool [P]. :param at: int32 [N]. :return: int32 [N].
    """

    def by_blocks(g: Graph) -> list[Value]:
        """Sum up blocks, and of a place's own block what is before it: CumSum takes five times as long, and a product
        of bytes half as long as a sum."""
        missing = (0 - flags.size()) % BLOCK
        filled = g.op("Pad", flags.cast(np.uint8), g.concat([np.array([0]), missing])).of_rank(1)
        sums = g.op("MatMulInteger", filled.reshape(-1, BLOCK), np.ones((BLOCK, 1), np.uint8))
        before = counted(g, sums.reshape(-1))
        block = at // BLOCK
        column = np.arange(BLOCK, dtype=np.int32)
        own = look_up(g, filled, ((block * BLOCK).unsqueeze(1) + column).reshape(-1)).reshape(-1, BLOCK)
        earlier = (g.constant(column) < (at % BLOCK).unsqueeze(1)).cast(np.int32)
        own = own.cast(np.int32) * earlier
        return [look_up(g, before, block) + g.op("ReduceSum", own, np.array([1]), keepdims=0)]

    def by_all(g: Graph) -> list[Value]:
        return [look_up(g, counted(g, flags.cast(np.int32)), at)]

    return g.if_(flags.size() > MANY, by_blocks, by_all)[0]


BLOCK = 64
"""Places of a block."""

MANY = 1 << 14
"""Up to so many places it is faster to count at all of them."""


def later(g: Graph, values: Value, by: int) -> Value:
    """:param values: int32 [P]. :return: int32 [P], the value ``by`` places on, or back; 0 past the ends."""
    return g.op("Pad", values, np.array([-by, by])).sized_as(values)


def previous(g: Graph, values: Value, first: int = 0) -> Value:
    """As ``later`` by -1, of a single value too, which onnxruntime 1.18 pads with what happens to be in memory.

    :param values: int32 [P], P > 0. :param first: what is before the first. :return: int32 [P].
    """
    return g.concat([np.array([first], np.int32), values]).slice(0, -1).sized_as(values)


def if_longer(g: Graph, offsets: Value, end: Value, most: int, then: Branch, otherwise: Branch) -> list[Value]:
    """``then`` where a run is longer than that, which needs no look at the runs where all together are not.

    :param offsets: int64 [N], ascending. :param end: int64 [1].
    """

    def look(g: Graph) -> list[Value]:
        longest = g.op("ReduceMax", g.concat([lengths_of(g, offsets, end), np.array([0])]))
        return g.if_(longest > most, then, otherwise)

    return g.if_(end > most, look, otherwise)


def firsts_of_runs(g: Graph, values: Value, starts: Value, lengths: Value, most: Value) -> tuple[Value, Value]:
    """Keep the first of each run, and what is behind the last run.

    :param values: [P], more than the runs reach to. :param starts: int64 [N], each where the one before ends.
    :param lengths: int64 [N]. :param most: int64 [N], at most ``lengths``: how many are kept of each.
    :return: values' dtype [Q], int64 [N]: what is kept, and where each run begins.
    """
    # One more run has begun to be left out, or has been left out.
    changes = ones(g, starts.size())
    marks = g.op(
        "ScatterElements",
        zeros(g, values.size()),
        g.concat([starts + most, starts + lengths]),
        g.concat([changes, 0 - changes]),
        reduction="add",
    )
    kept = g.op("CumSum", marks, np.array(0)).of_rank(1).equals(0)
    return keep(g, values, kept), counted(g, most)


def reachable(g: Graph, marks: Value, jump: Value, *, back: bool = False, rounds: int = 1) -> Value:
    """Mark what can be reached from what is marked, in rounds that double the distance.

    :param marks: int32 [P], 0 or 1, P > 0.
    :param jump: int32 or int64 [P], the place that each leads to: a later one, or itself, where a chain ends.
    :param back: whether it is an earlier one. :param rounds: between two looks at whether all was reached.
    :return: int32 [P].
    """

    def one_round(g: Graph, _: Value, marks: Value, jump: Value) -> tuple[Value, list[Value], list[Value]]:
        marks, further = doubled(g, marks, jump, rounds)
        moved = jump - further if back else further - jump
        return (g.op("ReduceMax", moved, keepdims=0) > 0), [marks, further], []

    return g.loop([marks, jump], one_round)[0]


def doubled(g: Graph, marks: Value, jump: Value, rounds: int = 1) -> tuple[Value, Value]:
    """Some rounds of ``reachable``. :return: as ``marks`` and ``jump``."""
    for _ in range(rounds):
        # Several places may lead to one: a maximum is defined where they do.
        marks, jump = g.op("ScatterElements", marks, jump, marks, reduction="max"), look_up(g, jump, jump)
    return marks, jump


def look_up(g: Graph, values: Value, indices: Value) -> Value:
    """``values[indices]`` of a vector; GatherElements copies scalars several times faster than Gather.

    :param indices: int64, any shape.
    :return: values' dtype, indices' shape.
    """
    if indices.rank == 1:
        return g.op("GatherElements", values, indices)
    return g.op("GatherElements", values, indices.reshape(-1)).reshape_like(indices)


def any_of(g: Graph, flags: Value) -> Value:
    """By a sum of float32, for onnxruntime adds up integers in float64 since 1.27, which takes three times as long.

    :param flags: bool [P]. :return: bool []: whether one is true; False for none.
    """
    return g.op("ReduceSum", flags.cast(np.float32), keepdims=0) > 0


def counted(g: Graph, counts: Value) -> Value:
    """The sum of what is before each place.

    :param counts: int32 or int64 [P]. :return: the same dtype, [P].
    """
    return g.op("CumSum", counts, np.array(0), exclusive=1).of_rank(1)


def lengths_of(g: Graph, offsets: Value, end: Value) -> Value:
    """:param offsets: int64 [N], ascending. :param end: int64 [1].
    :return: int64 [N]: from each to the next, from the last to the end.
    """
    ends = g.op("Slice", g.concat([offsets, end]), np.array([1]), np.array([END]))
    return ends.of_rank(1) - offsets


END = 2**62
"""The end of a slice that goes to the end."""
