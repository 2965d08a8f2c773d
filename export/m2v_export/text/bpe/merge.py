"""The merges of all words at once, some of each word in every round: see ``merges``."""

import numpy as np

from m2v_export.graphs.arrays import following, keep, look_up, places_of_all, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.merges import NEVER, Merges
from m2v_export.text.stages.hashing import HashTable

PLACE_BITS = 32
"""Below a rank, where it is at."""


class Merger:
    """The merges as constants of a graph."""

    def __init__(self, g: Graph, merges: Merges) -> None:
        self.merges = merges
        self._hash = HashTable(g, merges.hash, "merges", np.int64)
        self._ranks = g.constant(merges.ranks, "merges_ranks")
        self._merged = g.constant(merges.merged, "merges_tokens")
        # As they stand in keys, with one more for what is before and behind a word.
        first, last = (
            np.append(merges.tokens + of, merges.nothing).astype(np.int32) for of in (merges.firsts, merges.lasts)
        )
        self._firsts, self._lasts = g.constant(first, "first_symbols"), g.constant(last, "last_symbols")

    def merge(self, g: Graph, tokens: Value, begins: Value) -> tuple[Value, Value]:
        """Until no two tokens of a word can be merged.

        :param tokens: int32 [P], P > 0, the symbols of some words, end to end.
        :param begins: int32 [P], 1 where a word begins, else 0.
        :return: int32 [Q], int32 [Q]: as these, of what the words become.
        """

        def one_round(g: Graph, _: Value, tokens: Value, begins: Value) -> tuple[Value, list[Value], list[Value]]:
            behind, ends = following(g, tokens, 0), following(g, begins, 1)
            ranks = self._ranks_of(g, tokens, behind)
            ranks = g.op("Where", ends > 0, np.array(NEVER, np.int32), ranks).sized_as(tokens)
            safe = self._safe(g, tokens, behind, begins, ends, ranks)

            def lowest(g: Graph) -> list[Value]:
                return [_lowest(g, ranks, begins)]

            at = g.if_(safe.size() > 0, lambda g: [safe], lowest)[0]
            made = look_up(g, self._merged, look_up(g, ranks, at) // 2)
            gone = g.op("ScatterElements", zeros_like(tokens), at + 1, zeros_like(at) + 1)
            kept = gone.equals(0).sized_as(tokens)
            merged = g.op("ScatterElements", tokens, at, made).sized_as(tokens)
            return (at.size() > 0).squeeze(0), [keep(g, merged, kept), keep(g, begins, kept)], []

        tokens, begins = g.loop([tokens, begins], one_round)
        return tokens, begins

    def _ranks_of(self, g: Graph, left: Value, right: Value) -> Value:
        """:param left: int32 or int64 [P], numbers in a key. :param right: the same. :return: int32 [P]."""
        key = left.cast(np.int64) * self.merges.stride + right.cast(np.int64)
        slots = self._hash.slots(g, key * self.merges.factor)
        found = look_up(g, self._hash.keys, slots).equals(key)
        return g.op("Where", found, look_up(g, self._ranks, slots), np.array(NEVER, np.int32)).sized_as(left)

    def _safe(self, g: Graph, tokens: Value, behind: Value, begins: Value, ends: Value, ranks: Value) -> Value:
        """:param behind: int32 [P], the token after each. :param ends: int32 [P], 1 where a word ends, else 0.
        :param ranks: int32 [P], of the pair of each token and the next.
        :return: int32 [S], where pairs are that are merged whatever happens around them, ascending.
        """
        # That the ranks beside are higher is no proof, but leaves fewer to look up.
        lower = (ranks < previous(g, ranks, NEVER)) & (ranks < following(g, ranks, NEVER))
        if self.merges.early:
            lower = lower & g.op("BitwiseAnd", ranks, 1).equals(0)
        at = places_where(g, lower)
        no_token = np.array(self.merges.tokens, np.int32)
        # At the first token of all this looks up the last one, and does not take it.
        before = g.op("Where", look_up(g, begins, at) > 0, no_token, look_up(g, tokens, at - 1))
        further = g.op("Where", look_up(g, ends, at + 1) > 0, no_token, look_up(g, behind, at + 1))
        left = g.concat([look_up(g, self._lasts, before), look_up(g, behind, at)])
        right = g.concat([look_up(g, tokens, at), look_up(g, self._firsts, further)])
        least = self._ranks_of(g, left, right).reshape(2, -1)
        least = g.op("ReduceMin", least, np.array([0]), keepdims=0).of_rank(1)
        return keep(g, at, look_up(g, ranks, at) < least)


def _lowest(g: Graph, ranks: Value, begins: Value) -> Value:
    """:return: int32 [S], the pair of the lowest rank of each word that has one, of equal ones the first."""
    word = g.op("CumSum", begins, np.array(0)).of_rank(1) - 1
    key = ranks.cast(np.int64) * (1 << PLACE_BITS) + places_of_all(g, ranks).cast(np.int64)
    none = zeros_like(key) + (NEVER << PLACE_BITS)
    best = g.op("ScatterElements", none, word, key, reduction="min").of_rank(1)
    return (keep(g, best, best < (NEVER << PLACE_BITS)) % (1 << PLACE_BITS)).cast(np.int32)
