"""The merges of a BPE model, as tables: each pair of tokens that is merged, its rank, and what may come before.

BPE merges the pair of the lowest rank, again and again, of equal ones the first. One merge a round would need as many
rounds as a word has symbols. Many merges at once give the same, where each of them is *safe*:

- A token is made in one way only. Until it is there, no merge reaches over its ends, so it is made as if it were a word
  of its own. A merge that does not come last when its result is tokenized alone never happens, and is left out here.
- Let a pair have rank r, and let both its tokens be made by merges of lower ranks. As long as one of these is missing,
  the lowest rank is below r. So both tokens come before anything of rank r or more.
- Then the pair is merged, unless a neighbour takes one of its tokens away first: any token that ends where the pair
  begins, or begins where it ends. What that may be is not known yet, but the symbol beside the pair is. Let all merges
  of the pair's first token with a token before it that ends in this symbol have higher ranks, and so on the other side:
  then the pair is merged, whatever happens around it.

The pair of the lowest rank of a word is merged in any case, if its tokens are made by merges of lower ranks. A word
with another pair is begun anew, and merged one pair after the other. GPT-2's and Qwen's merges have no such pairs; of
Llama 3's 127,156 they are 90. Where there are none, all pairs of the lowest rank of a word are merged at once: what is
made of one has a higher rank with its neighbours, so the others come before that. Of one token many times in a row
these are the first two, the next two, and so on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.hashing import PerfectHash, build_by_products

NEVER = 1 << 22
"""Above all ranks: no merge."""

Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Merges:
    """:ivar hash: of int64 keys, ``left * stride + right``: of two tokens that are merged; of a symbol before a token,
        and of a token and a symbol behind it. A symbol's number is above those of tokens. In the places of the keys
        ``key * NEVER + rank``. The rank of a pair of tokens is twice its place among the merges, and 1 more where it
        does not tell that both tokens are made before. That with a symbol is twice the lowest place of the merges of
        the token with tokens that have this symbol there.
    :ivar factor: what a key is multiplied by before it is hashed; the product wraps around.
    :ivar merged: int32 [merges], the token that the merge of each rank makes.
    :ivar firsts: int32 [tokens + 1], the number in a key of each token's first symbol; at the end ``nothing``.
    :ivar lasts: of its last one.
    :ivar stride: numbers in a key are less.
    :ivar early: whether there are pairs of which the rank does not tell.
    """

    hash: PerfectHash
    factor: int
    merged: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int32]
    lasts: npt.NDArray[np.int32]
    stride: int
    early: bool

    @property
    def no_token(self) -> int:
        """What stands between words: above all ids."""
        return len(self.firsts) - 1


def last_merges(vocabulary: Mapping[str, int], merges: Sequence[Pair]) -> dict[str, tuple[int, Pair]]:
    """The tokens of several symbols that text can become, with the merge that comes last when each is tokenized alone.

    :return: ranks and pairs, by the token.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    made = {left + right for left, right in merges if left + right in vocabulary}
    last = {}
    for token in made:
        left, rank, pair = _merge_all(token, ranks)
        if left == 1 and pair is not None:
            last[token] = rank, pair
    return last


def _merge_all(word: str, ranks: Mapping[Pair, int]) -> tuple[int, int, Pair | None]:
    """:return: how many tokens a word becomes, and the last merge."""
    # By the place where each begins; None for what became part of the one before.
    parts: list[str | None] = [*word]
    ends, begins = [*range(1, len(word) + 1)], [*range(-1, len(word) - 1)]
    waiting = [(ranks[pair], i) for i, pair in enumerate(pairwise(word)) if pair in ranks]
    heapify(waiting)
    left_over, rank, last = len(word), NEVER, None
    while waiting:
        found, at = heappop(waiting)
        left, behind = parts[at], ends[at]
        right = parts[behind] if left is not None and behind < len(word) else None
        if left is None or right is None or ranks.get((left, right)) != found:
            continue  # One of the two has become another since.
        left_over, rank, last = left_over - 1, found, (left, right)
        parts[at], parts[behind], ends[at] = left + right, None, ends[behind]
        if ends[at] < len(word):
            begins[ends[at]] = at
        for place in (begins[at], at):
            if place >= 0 and ends[place] < len(word):
                new = ranks.get((parts[place] or "", parts[ends[place]] or ""))
                if new is not None:
                    heappush(waiting, (new, place))
    return left_over, rank, last


def read_merges(
    vocabulary: Mapping[str, int], last: Mapping[str, tuple[int, Pair]], symbols: Mapping[str, int]
) -> Merges:
    """:param last: see ``last_merges``.
    :param symbols: numbers of the single characters that tokens begin and end with, from 0 on.
    """
    order = sorted(last, key=lambda token: last[token][0])
    ranks = {token: rank for rank, token in enumerate(order)}
    # The highest rank of all merges that a token is made by.
    highest: dict[str, int] = defaultdict(lambda: -1)
    for token in sorted(last, key=len):
        highest[token] = max(ranks[token], *(highest[part] for part in last[token][1]))
    # Behind the ids what stands between words, then symbols, then none.
    tokens = max(vocabulary.values()) + 1
    first_symbol = tokens + 1
    stride = first_symbol + len(symbols) + 1
    values: dict[int, int] = {}
    for token, rank in ranks.items():
        left, right = last[token][1]
        early = max(highest[left], highest[right]) > rank
        ids = vocabulary[left], vocabulary[right]
        values[ids[0] * stride + ids[1]] = 2 * rank + early
        for key in (
            (first_symbol + symbols[left[-1]]) * stride + ids[1],
            ids[0] * stride + first_symbol + symbols[right[0]],
        ):
            values[key] = min(values.get(key, NEVER), 2 * rank)
    if 2 * len(ranks) >= NEVER:
        raise UnsupportedTokenizer(f"model: {len(ranks)} merges, {NEVER // 2} fit")
    keys = np.array([*values], np.int64)
    factor, table, slots = build_by_products(keys)
    stored = table.keys.copy()
    stored[0, slots] = keys * NEVER + [*values.values()]
    firsts, lasts = np.full((2, tokens + 1), stride - 1, np.int32)
    for token, token_id in vocabulary.items():
        if token[:1] in symbols and token[-1:] in symbols:
            firsts[token_id], lasts[token_id] = (first_symbol + symbols[token[i]] for i in (0, -1))
    merged = np.array([vocabulary[token] for token in order], np.int32)
    early = any(value % 2 for value in values.values())
    return Merges(replace(table, keys=stored), factor, merged, firsts, lasts, stride, early)
