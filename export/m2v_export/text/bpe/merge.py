"""The merges of all words at once, some of each word in every round: see ``merges``."""

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, look_up, places_where, previous, zeros, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.merges import NEVER, Merges
from m2v_export.text.stages.hashing import HashTable

GONE = -1
"""In the place of a token that became part of the one before."""

PLACE_BITS = 32
"""Below a rank, where it is at."""

WITHOUT_SIGN = 2**63 - 1

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
        done, done_words, early = self._all_rounds(g, tokens, words, count, in_order=False)
        if not self.merges.early:
            return done, done_words

        def anew(g: Graph) -> list[Value]:
            # What is behind all is among them.
            is_early = g.op(
                "Where", words.equals(count.cast(np.int32)), np.array(1, np.int32), look_up(g, early, words)
            )
            again, of_again = keep(g, tokens, is_early > 0), keep(g, words, is_early > 0)
            found, its_words, _ = self._all_rounds(g, again, of_again, count, in_order=True)
            others = look_up(g, early, done_words).equals(0)
            return [g.concat([keep(g, done, others), found]), g.concat([keep(g, done_words, others), its_words])]

        some = g.op("ReduceMax", early, keepdims=0) > 0
        done, done_words = g.if_(some, anew, lambda g: [done, done_words])
        return done, done_words

    def _all_rounds(
        self, g: Graph, tokens: Value, words: Value, count: Value, in_order: bool
    ) -> tuple[Value, Value, Value]:
        """As ``merge``.

        :param in_order: whether one merge a round is made in each word, the one that BPE makes.
        :return: int32 [Q], int32 [Q], int32 [M + 1]: tokens, words, and 1 for words in which many merges at once may
            differ from one after the other.
        """
        # Whether all pairs of a word's lowest rank are merged at once: see ``merges``.
        all_lowest = not self.merges.early
        # Of words that have no pair; what is behind all is never done.
        no_pair, zero = (
            np.array([of], np.int32 if all_lowest else np.int64) for of in (NEVER if all_lowest else NO_PAIR, 0)
        )
        none = g.concat([g.op("Expand", no_pair, count).of_rank(1), zero])

        def one_round(
            g: Graph, _: Value, tokens: Value, words: Value, ranks: Value, done: Value, done_words: Value, early: Value
        ) -> tuple[Value, list[Value], list[Value]]:
            """:param ranks: int32 [P], of the pair of each token and the next."""
            some = places_where(g, ranks < NEVER)
            own = look_up(g, ranks, some)
            # A pair with a lower one beside it waits for that.
            first = (own <= look_up(g, ranks, some - 1)) & (own <= look_up(g, ranks, some + 1))
            some, own = keep(g, some, first), keep(g, own, first)
            key = own if all_lowest else own.cast(np.int64) * (1 << PLACE_BITS) + some.cast(np.int64)
            word = look_up(g, words, some)
            lowest = g.op("ScatterElements", none, word, key, reduction="min").of_rank(1)
            merges = key.equals(look_up(g, lowest, word))
            if not in_order:
                is_safe, every_second = self._are_safe(g, tokens, some, own)
                merges = (merges | is_safe) & every_second if all_lowest else merges | (is_safe & every_second)
            at = keep(g, some, merges)
            made = look_up(g, self._merged, keep(g, own, merges) // 2)
            changes = g.concat([made, zeros_like(made) + GONE])
            tokens = g.op("ScatterElements", tokens, g.concat([at, at + 1]), changes).sized_as(tokens)
            goes_on = look_up(g, lowest < no_pair, words)
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
            if self.merges.early and not in_order:
                early = _marked(g, early, look_up(g, words, changed), new)
            return (at.size() > 0).squeeze(0), [tokens, words, ranks, done, done_words, early], []

        behind = g.concat([tokens, np.array([self.merges.no_token], np.int32)]).slice(1, END).sized_as(tokens)
        nothing = g.constant(np.zeros(0, np.int32))
        ranks = self._ranks_of(g, tokens, behind)
        early = zeros(g, count + 1)
        if self.merges.early:
            early = _marked(g, early, words, ranks)
        _, _, _, done, done_words, early = g.loop([tokens, words, ranks, nothing, nothing, early], one_round)
        return done, done_words, early

    def _ranks_of(self, g: Graph, left: Value, right: Value) -> Value:
        """:param left: int32 [P], numbers in a key. :param right: the same. :return: int32 [P]."""
        key = left.cast(np.int64) * self.merges.stride + right.cast(np.int64)
        stored = look_up(g, self._hash.keys, self._hash.slots(g, key * self.merges.factor))
        # Another key is more than all ranks away, or less, which is far more without the bit of the sign.
        rank = g.op("Min", g.op("BitwiseAnd", stored - key * NEVER, WITHOUT_SIGN), np.array(NEVER))
        return rank.cast(np.int32).sized_as(left)

    def ranks_beside(self, g: Graph, before: Value, left: Value, right: Value, behind: Value) -> list[Value]:
        """:param before: int32 [P], tokens, as all of these: the one before a pair, its two, and the one behind.
        :return: int32 [P] three times: the pair's rank, the lowest of the left one's with what ends as the one before,
            and the lowest of the right one's with what begins as the one behind.
        """
        before, behind = look_up(g, self._lasts, before), look_up(g, self._firsts, behind)
        ranks = self._ranks_of(g, g.concat([left, before, right]), g.concat([right, left, behind]))
        return [of.of_rank(1) for of in g.op_many("Split", 3, ranks, num_outputs=3)]

    def made_by(self, g: Graph, ranks: Value) -> Value:
        """:param ranks: int32 [P]. :return: int32 [P], the token that a merge makes; of no pair any."""
        last = np.array(len(self.merges.merged) - 1, np.int32)
        return look_up(g, self._merged, g.op("Min", ranks // 2, last))

    def _are_safe(self, g: Graph, tokens: Value, at: Value, ranks: Value) -> tuple[Value, Value]:
        """:param at: int32 [S], where pairs are that have no lower one beside them, ascending.
        :param ranks: int32 [S], of these.
        :return: bool [S], which are merged whatever happens around them, but for those that overlap; bool [S], which of
            these BPE takes.
        """
        before, left, right, behind = (look_up(g, tokens, at + i) for i in range(-1, 3))
        before, behind = look_up(g, self._lasts, before), look_up(g, self._firsts, behind)
        least = self._ranks_of(g, g.concat([before, right]), g.concat([left, behind])).reshape(2, -1)
        least_left, least_right = (of.reshape(-1).sized_as(ranks) for of in g.op_many("Split", 2, least, num_outputs=2))
        # Pairs that overlap are of one token many times. BPE takes the first two, the next two, and so on.
        begins = ~at.equals(previous(g, at, GONE) + 1)
        row = g.op("CumSum", begins.cast(np.int32), np.array(0)).of_rank(1) - 1
        step = at - look_up(g, keep(g, at, begins), row)
        # So a lowest merge on the left is the pair before it itself, but not before the first.
        reliable = look_up(g, keep(g, ranks < least_left, begins), row)
        safe = reliable & (ranks <= least_left) & (ranks <= least_right)
        if self.merges.early:
            safe = safe & g.op("BitwiseAnd", ranks, 1).equals(0)
        return safe, g.op("BitwiseAnd", step, 1).equals(0)


def _marked(g: Graph, early: Value, words: Value, ranks: Value) -> Value:
    """:param early: int32 [M + 1]. :param words: int32 [S]. :param ranks: int32 [S].
    :return: int32 [M + 1], with 1 for words that have a pair of which the rank does not tell that both are made before.
    """
    return g.op("ScatterElements", early, words, g.op("BitwiseAnd", ranks, 1), reduction="max").sized_as(early)
