"""The merges of few words: as in ``merge``, in far fewer operations a round.

Where there is little to do most of the time goes into starting operations. Here all tokens stay in their order, also
those of words that are done, and all is looked up anew in each round. As in ``merge`` all safe pairs are merged, which
nothing can break up. So are all pairs of the lowest rank of each word, for what is made of them has a higher rank with
its neighbours. So it serves models without ``Merges.early`` alone. Words that need many rounds, of one token many times
in a row, are left to the thorough way.
"""

import numpy as np

from m2v_export.graphs.arrays import END, keep, look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.merge import Merger
from m2v_export.text.bpe.merges import NEVER

FEW_SYMBOLS = 1536
"""Up to which it is quicker, with those between words."""

MOST_ROUNDS = 16
"""Words of up to some thousand texts need about ten."""

NO_RANK = NEVER - 1
"""Above all ranks; of words that have no pair, and none of pairs."""


def merge_few(g: Graph, merger: Merger, tokens: Value, words: Value, count: Value) -> list[Value]:
    """Until no two tokens of a word can be merged, or it takes too long.

    :param tokens: int32 [P], see ``Merger.merge``. :param words: int32 [P]. :param count: int64 [1], M, of words.
    :return: bool [], int32 [Q], int32 [Q]: whether they are merged; if so, tokens and words as there, but for what is
        behind all, in order.
    """
    apart = np.array([merger.merges.no_token], np.int32)
    none = g.op("Expand", np.array([NO_RANK], np.int32), count + 1).of_rank(1)

    def looked_up(g: Graph, tokens: Value, words: Value) -> list[Value]:
        """What there is to know of each token but the first, and the next one; the last two are behind all.

        :return: int32 [P - 3] four times: the rank of the pair, the lowest ranks by which another token could take its
            tokens away, on the left and on the right, and the lowest rank of the word.
        """
        before, left, right, behind = (tokens.slice(i, i - 3 if i < 3 else END) for i in range(4))
        own, least_left, least_right = merger.ranks_beside(g, before, left.sized_as(before), right, behind)
        own = own.sized_as(left)
        word = words.slice(1, -2).sized_as(left)
        lowest = g.op("ScatterElements", none, word, own, reduction="min").of_rank(1)
        return [own, least_left.sized_as(left), least_right.sized_as(left), look_up(g, lowest, word)]

    def one_round(
        g: Graph,
        _: Value,
        tokens: Value,
        words: Value,
        ranks: Value,
        least_left: Value,
        least_right: Value,
        lowest: Value,
        __: Value,
    ) -> tuple[Value, list[Value], list[Value]]:
        # Of one token many times in a row the first two.
        is_first = ranks < g.op("Pad", ranks, np.array([1, -1]), np.array(NEVER, np.int32)).sized_as(ranks)
        safe = (ranks < least_left) & (ranks <= least_right)
        merges = safe | (is_first & ranks.equals(lowest))
        left = tokens.slice(1, -2).sized_as(ranks)
        left = g.op("Where", merges, merger.made_by(g, ranks), left)
        kept = g.concat([np.array([True, True]), ~merges, np.array([True])])
        tokens = keep(g, g.concat([apart, left, apart, apart]), kept)
        words = keep(g, words, kept)
        known = looked_up(g, tokens, words)
        goes_on = _has_pair(g, known[0])
        return goes_on, [tokens, words, *known, goes_on], []

    tokens = g.concat([tokens, apart])
    words = g.concat([words, words.slice(-1, END)])
    known = looked_up(g, tokens, words)
    goes_on = _has_pair(g, known[0])
    trips = g.constant(np.array(MOST_ROUNDS))
    state = [tokens, words, *known, goes_on]
    tokens, words, *_, goes_on = g.loop(state, one_round, trips=trips, condition=goes_on)
    return [~goes_on, tokens.slice(0, -2), words.slice(0, -2)]


def _has_pair(g: Graph, ranks: Value) -> Value:
    """:param ranks: int32 [P]. :return: bool []."""
    return g.op("ReduceMin", ranks, keepdims=0) < NEVER
