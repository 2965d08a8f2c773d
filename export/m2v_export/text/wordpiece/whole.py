"""The search for whole words, in the table of the pieces."""

import numpy as np

from m2v_export.graphs.arrays import look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.words import WordPlaces
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.trie import WholeKeys


class WholeWords:
    """The search for whole words, as constants of a graph."""

    def __init__(self, g: Graph, pieces: Pieces) -> None:
        """:param pieces: the table."""
        self.pieces = pieces
        whole = pieces.trie.whole
        self.keys = whole.keys
        self.tails = [g.constant(tails, "tails") for tails in whole.tails]
        self.numbers = None if whole.numbers is None else g.constant(whole.numbers, "tail_numbers")

    def find(self, g: Graph, places: WordPlaces) -> tuple[Value, Value]:
        """:return: int32 [W + 1], int64 [W + 1]: of each word what ``Pieces.ids`` makes its id of, and 0 where it was
        found: at the last one never.
        """
        keys = self.keys
        # The packs that the window and the tails are made of: which span, where it begins, how many of its codes count.
        packs = [
            (number, at, min(keys.packed, span.stop - at))
            for number, span in enumerate(keys.spans())
            for at in span[:: keys.packed]
        ]
        at = np.array([[at] for _, at, _ in packs], np.int32)
        windows = look_up(g, places.packs, (places.starts + at).reshape(-1))
        masks = [_bits(keys, gap - at, most) for _, at, most in packs for gap in range(keys.reach + 1)]
        left = g.op("Min", places.gaps, np.array([keys.reach], np.int32))
        rows = np.arange(len(packs), dtype=np.int32)[:, None] * (keys.reach + 1)
        own = look_up(g, g.constant(np.array(masks, np.int32), "words_masks"), (left + rows).reshape(-1))
        codes = g.op("BitwiseAnd", windows, own).cast(np.int64).reshape(len(packs), -1)
        factors = [[self._factor(n, at) * (n == span) for span, at, _ in packs] for n in range(1 + keys.tails)]
        return self._search(g, look_up(g, places.codes, places.starts), codes, factors)

    def find_by_codes(self, g: Graph, codes: Value, narrow: Value, starts: Value, ends: Value) -> tuple[Value, Value]:
        """As ``find``.

        :param codes: int32 [C]. :param narrow: int32 [C], see ``narrow_codes``. :param starts: int32 [W + 1].
        :param ends: int32 [W + 1], where the next words begin.
        """
        following = range(1, self.keys.reach)
        places = g.op("Min", starts + np.array(following, starts.dtype)[:, None], ends)
        mine = look_up(g, narrow, places.reshape(-1)).cast(np.int64).reshape(len(following), -1)
        spans = self.keys.spans()
        factors = [[self._factor(n, at) * (at in span) for at in following] for n, span in enumerate(spans)]
        return self._search(g, look_up(g, codes, starts), mine, factors)

    def _factor(self, span: int, at: int) -> int:
        """:return: what a word's code is multiplied by, for the window or a tail, if it is in there."""
        shift = (at - self.keys.spans()[span].start) * self.keys.width
        return 1 << max(0, shift + (0 if span else self.pieces.trie.node_bits))

    def _search(self, g: Graph, first: Value, codes: Value, factors: list[list[int]]) -> tuple[Value, Value]:
        """As ``find``.

        :param first: int32 [W + 1], codes. :param codes: int64 [R, W + 1], what follows.
        :param factors: [1 + tails][R], of which the window and the tails are sums.
        """
        trie = self.pieces.trie
        window, *tails = (g.op("MatMul", np.array(own), codes) for own in factors)
        key = window + (first + self.pieces.alphabet.isolated).cast(np.int64)
        hashed = key
        for tail, factor in zip(tails, trie.whole.factors.tolist(), strict=True):
            hashed = hashed + tail * factor
        slots = self.pieces.hash.slots(g, hashed)
        values = look_up(g, self.pieces.values, slots)
        numbers = values // trie.character if self.numbers is None else look_up(g, self.numbers, slots)
        differs = key - look_up(g, self.pieces.hash.keys, slots)
        for tail, by_number in zip(tails, self.tails, strict=True):
            differs = g.op("BitwiseOr", differs, tail - look_up(g, by_number, numbers))
        return values, differs


def _bits(keys: WholeKeys, codes: int, most: int) -> int:
    """The bits of so many codes of a pack."""
    return (1 << max(0, min(codes, most)) * keys.width) - 1
