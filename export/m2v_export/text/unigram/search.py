"""All pieces at all places of some words, as constants of a graph and the walk through them."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import END, look_up, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.double_array import DEAD, ROOT
from m2v_export.text.unigram.pieces import NO_PIECE, Pieces


@dataclass(frozen=True, eq=False)
class Found:
    """The pieces that end at each symbol, by their lengths, the longest first.

    :ivar values: int32 [lengths, P]. :ivar scores: float64 [P, lengths].
    """

    values: Value
    scores: Value


class Search:
    """The pieces as constants of a graph."""

    def __init__(self, g: Graph, pieces: Pieces) -> None:
        self.unknown = pieces.unknown
        self.first_base = int(pieces.trie.bases[ROOT])
        # As long as the checks, for those that go on from where a symbol led astray.
        longer = np.zeros(len(pieces.trie.checks) - len(pieces.values), np.int32)
        self.bases = g.constant(np.concatenate([pieces.trie.bases, longer]), "bases")
        self.checks = g.constant(pieces.trie.checks, "checks")
        self.values = g.constant(np.concatenate([pieces.values, longer + NO_PIECE]), "values")
        # As float32 where that is the same: scores are trained as such.
        narrow = pieces.scores.astype(np.float32)
        self._scores = g.constant(narrow if np.array_equal(narrow, pieces.scores) else pieces.scores, "scores")
        self._other_ids = g.constant(pieces.ids[pieces.unknown :], "other_ids")

    def scores(self, g: Graph, values: Value) -> Value:
        """:param values: int32, any shape. :return: float64, the same shape."""
        return look_up(g, self._scores, values).cast(np.float64)

    def ids(self, g: Graph, values: Value) -> Value:
        """:param values: int32 [T]. :return: int32 [T]."""
        other = look_up(g, self._other_ids, g.op("Max", values - self.unknown, np.array(0, np.int32)))
        return g.op("Where", values < self.unknown, values - 1, other)

    def find(self, g: Graph, symbols: Value) -> Found:
        """Walk from all places, some symbols further each round, until no piece goes on.

        A character that is no piece is an unknown one.

        :param symbols: int32 [P], of words that begin with the blank, end to end.
        """
        size = symbols.size()
        padded = g.op("Pad", symbols, np.array([0, LONGEST + STEPS])).of_rank(1)

        def by_rounds(g: Graph) -> list[Value]:
            return [self._walk(g, padded, size)]

        def at_once(g: Graph) -> list[Value]:
            nodes = self._walk_few(g, padded, size)
            last = g.op("Slice", nodes, -1 - size, np.array([END]), np.array([1]))
            goes_on = g.op("ReduceMax", last, keepdims=0) > DEAD
            return g.if_(goes_on, by_rounds, lambda g: [nodes])

        (nodes,) = g.if_(size <= FEW_SYMBOLS, at_once, by_rounds)
        # Not in the branches, which would copy it.
        nodes = nodes.reshape(-1, size + 1)
        values = look_up(g, self.values, nodes.reshape(-1)).reshape_like(nodes)
        alone = values.slice(0, 1)
        alone = g.op("Where", alone.equals(NO_PIECE), np.array(self.unknown, np.int32), alone)
        values = g.concat([alone, values.slice(1, END)])
        # A row shorter by one for each further symbol: pieces move to where they end. The longest come first.
        rows = values.size()
        within = g.op("Slice", values.reshape(-1), np.array([0]), rows * size)
        by_end = g.op(
            "Slice", within.reshape(rows, size), np.array([-1]), np.array([-END]), np.array([0]), np.array([-1])
        )
        values = by_end.of_rank(2)
        scores = self.scores(g, g.op("Transpose", values))
        return Found(values, scores.of_rank(2))

    def _walk(self, g: Graph, padded: Value, size: Value) -> Value:
        """Walk until no piece goes on.

        :param padded: int32, the symbols, and 0 behind them. :param size: int64 [1], P.
        :return: int32 [rounds, lengths * (P + 1)], nodes by the length of the walk. The last of each length is behind
            all symbols, from where nothing goes on.
        """
        ends = [size + (1 + i) for i in range(STEPS)]

        def some_symbols(g: Graph, _: Value, rest: Value, nodes: Value) -> tuple[Value, list[Value], list[Value]]:
            rows = []
            for i, end in enumerate(ends):
                here = g.op("Slice", rest, np.array([i]), end).of_rank(1)
                places = look_up(g, self.bases, nodes) + here
                goes_on = look_up(g, self.checks, places).equals(nodes)
                nodes = g.op("Where", goes_on, places, np.array(DEAD, np.int32))
                rows.append(nodes)
            return g.op("ReduceMax", nodes, keepdims=0) > DEAD, [rest.slice(STEPS, END), nodes], [g.concat(rows)]

        roots = g.op("Expand", np.array([ROOT], np.int32), ends[0]).of_rank(1)
        trips = g.constant(np.array(LONGEST // STEPS))
        (_, _, rows) = g.loop([padded, roots], some_symbols, trips=trips)
        return rows

    def _walk_few(self, g: Graph, padded: Value, size: Value) -> Value:
        """As ``_walk``, in one round, LONGEST_OF_FEW symbols far."""
        column = g.op("Range", np.array(0, np.int32), (size + 1).cast(np.int32).squeeze(0), np.array(1, np.int32))
        places = column.of_rank(1) + np.arange(LONGEST_OF_FEW, dtype=np.int32)[:, None]
        return self.walk_at_once(g, look_up(g, padded, places.reshape(-1)), LONGEST_OF_FEW).unsqueeze(0)

    def walk_at_once(self, g: Graph, symbols: Value, steps: int) -> Value:
        """Walk so many symbols far, whether on pieces or not, which is looked at afterwards.

        :param symbols: int32 [steps * P], those of all first steps, then those of the second ones, and so on.
        :return: int32 [steps * P], nodes, DEAD from where it went astray.
        """
        first, *behind = (of.of_rank(1) for of in g.op_many("Split", steps, symbols, num_outputs=steps))
        nodes = [first + self.first_base]
        for here in behind:
            nodes.append(look_up(g, self.bases, nodes[-1]) + here)
        reached = g.concat(nodes)
        before = g.concat([zeros_like(first) + ROOT, *nodes[:-1]])
        # The sum of the differences on the way: 0 where each node is where the one before leads.
        differs = g.op("Abs", look_up(g, self.checks, reached) - before).reshape(steps, -1)
        astray = g.op("CumSum", differs, np.array(0)).of_rank(2)
        return g.op("Where", astray.reshape(-1).cast(np.bool_), np.array(DEAD, np.int32), reached)


LONGEST = 512
"""Symbols of a piece at most."""

STEPS = 4
"""Symbols of a round: the start of a round takes as long as some operations."""

FEW_SYMBOLS = 384
"""Up to which it is quicker to walk at once."""

LONGEST_OF_FEW = 16
"""Symbols of a piece that is found so. SentencePiece makes no longer ones, if it is not told to."""
