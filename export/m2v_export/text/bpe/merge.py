"""The merges of all words at once, some of each word in every round: see ``merges``."""

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, look_up, places_where, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.merges import NEVER, Merges
from m2v_export.text.stages.hashing import HashTable

GONE = -1
"""In the place of a token that became part of the one before."""

PLACE_BITS = 32
"""Below a rank, where it is at."""

NO_PAIR = NEVER << PLACE_BITS
"""Above all ranks and places."""


class Merger:
    """The merges as constants of a graph."""

    def __init__(self, g: Graph, merges: Merges) -> None:
        self.merges = merges
        self._hash = HashTable(g, merges.hash, "merges", np.int64)
        self._merged = g.constant(merges.merged, "merges_tokens")
        self._firsts = g.constant(merges.firsts, "first_symbols")
        self._lasts = g.constant(merges.lasts, "last_symbols")

    def merge(self, g: Graph, tokens: Value, words: Value, count: Value) -> tuple[Value, Value]:
        """Until no two tokens of a word can be merged.

        :param tokens: int32 [P], the symbols of some words, each word with ``no_token`` before it, and one behind all.
        :param words: int32 [P], the number of each one's word, from 0 on; behind all the count.
        :param count: int64 [1], M, of words.
        :return: int32 [Q], int32 [Q]: as these, of what the words become, without what is behind all. Each word's are
            together and in their order, but words are in no order.
        """
        # Of words that have no pair; what is behind all is never done.
        none = g.concat([g.op("Expand", np.array([NO_PAIR]), count).of_rank(1), np.array([0])])

        def one_round(
            g: Graph, _: Value, tokens: Value, words: Value, ranks: Value, done: Value, done_words: Value
        ) -> tuple[Value, list[Value], list[Value]]:
            """:param ranks: int32 [P], of the pair of each token and the next."""
            some = places_where(g, ranks < NEVER)
            own = look_up(g, ranks, some)
            # A pair with a lower one beside it waits for that, and so does all but the first of equal ones.
            first = (own < look_up(g, ranks, some - 1)) & (own <= look_up(g, ranks, some + 1))
            some, own = keep(g, some, first), keep(g, own, first)
            key = own.cast(np.int64) * (1 << PLACE_BITS) + some.cast(np.int64)
            word = look_up(g, words, some)
            lowest = g.op("ScatterElements", none, word, key, reduction="min").of_rank(1)
            merges = self._are_safe(g, tokens, some, own) | key.equals(look_up(g, lowest, word))
            at = keep(g, some, merges)
            made = look_up(g, self._merged, keep(g, own, merges) // 2)
            changes = g.concat([made, zeros_like(made) + GONE])
            tokens = g.op("ScatterElements", tokens, g.concat([at, at + 1]), changes).sized_as(tokens)
            goes_on = look_up(g, lowest < NO_PAIR, words)
            ended = places_where(g, ~goes_on)
            done = g.concat([done, look_up(g, tokens, ended)])
            done_words = g.concat([done_words, look_up(g, words, ended)])
            stays = goes_on & (tokens > GONE)
            kept = places_where(g, stays)
            tokens, words, ranks = (look_up(g, of, kept) for of in (tokens, words, ranks))
            now = look_up(g, counted(g, stays.cast(np.int32)), at)
            changed = g.concat([now, now - 1])
            new = self._ranks_of(g, look_up(g, tokens, changed), look_up(g, tokens, changed + 1))
            ranks = g.op("ScatterElements", ranks, changed, new)
            return (at.size() > 0).squeeze(0), [tokens, words, ranks, done, done_words], []

        behind = g.concat([tokens, np.array([self.merges.no_token], np.int32)]).slice(1, END).sized_as(tokens)
        nothing = g.constant(np.zeros(0, np.int32))
        ranks = self._ranks_of(g, tokens, behind)
        _, _, _, done, done_words = g.loop([tokens, words, ranks, nothing, nothing], one_round)
        return done, done_words

    def _ranks_of(self, g: Graph, left: Value, right: Value) -> Value:
        """:param left: int32 [P], numbers in a key. :param right: the same. :return: int32 [P]."""
        key = left.cast(np.int64) * (self.merges.stride * NEVER) + right.cast(np.int64) * NEVER
        stored = look_up(g, self._hash.keys, self._hash.slots(g, key * self.merges.factor))
        # Another key is more than all ranks away, or less, which is far more without a sign.
        rank = g.op("Min", (stored - key).cast(np.uint64), np.array(NEVER, np.uint64))
        return rank.cast(np.int32).sized_as(left)

    def _are_safe(self, g: Graph, tokens: Value, at: Value, ranks: Value) -> Value:
        """:param at: int32 [S], where pairs are. :param ranks: int32 [S], of these.
        :return: bool [S], which are merged whatever happens around them.
        """
        before, left, right, behind = (look_up(g, tokens, at + i) for i in range(-1, 3))
        before, behind = look_up(g, self._lasts, before), look_up(g, self._firsts, behind)
        least = self._ranks_of(g, g.concat([before, right]), g.concat([left, behind])).reshape(2, -1)
        safe = ranks < g.op("ReduceMin", least, np.array([0]), keepdims=0).of_rank(1)
        return safe & g.op("BitwiseAnd", ranks, 1).equals(0) if self.merges.early else safe
