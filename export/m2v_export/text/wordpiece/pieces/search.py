"""The search for the longest piece at some places, in a trie whose edges are found by hashing."""

from collections.abc import Callable

import numpy as np

from m2v_export.graphs.arrays import keep, look_up, places_where
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.tables.alphabet import Alphabet
from m2v_export.text.wordpiece.trie import Trie

Windows = Callable[[Graph, Value], Value]
"""The graph, int32 or int64 [Q], places: int64 [Q], the codes behind each, above the bits of a node; of a place that
has fewer in its word 0 for the rest, which no piece has."""


class Pieces:
    """The trie as constants of a graph."""

    def __init__(self, g: Graph, trie: Trie, alphabet: Alphabet, unk_id: int) -> None:
        self.trie = trie
        self.unk_id = unk_id
        self.alphabet = alphabet
        self.hash = HashTable(g, trie.hash, "pieces", np.int64)
        self.values = g.constant(trie.values, "pieces_values")
        self.node_values = g.constant(trie.node_values, "pieces_node_values")

    def value(self, token_id: int) -> int:
        """Of a piece of one character, which is enough to tell that it is one."""
        return self.trie.character + token_id

    def ids(self, values: Value) -> Value:
        """:param values: int32 [P], of pieces. :return: int32 [P]."""
        return values.graph.op("BitwiseAnd", values, self.trie.character - 1)

    def length(self, values: Value) -> Value:
        """:param values: int32 [P]. :return: int32 [P], characters; 0 for ENDED and DEAD."""
        return values // self.trie.character

    def longest(self, g: Graph, windows: Windows, at: Value, nodes: Value) -> Value:
        """Search for the longest piece at some places.

        :param at: int32 or int64 [Q], places in the codes. :param nodes: int32 [Q], of the characters there.
        :return: int32 [Q], its value, DEAD or ENDED.
        """
        values = self._within(g, windows(g, at), nodes)
        if self.trie.windows < 2:
            return values

        def one_window(g: Graph, _: Value, values: Value, reach: Value) -> tuple[Value, list[Value], list[Value]]:
            # Where full windows lead to nodes, so many characters further.
            here = places_where(g, values >= self.trie.node)
            window = windows(g, look_up(g, at, here) + reach)
            found = self._within(g, window, look_up(g, values, here) - self.trie.node)
            values = g.op("ScatterElements", values, here, found)
            return self._has_nodes(g, values), [values, reach + self.trie.window], []

        reach = g.constant(np.array(self.trie.window, at.dtype))
        return g.loop([values, reach], one_window, condition=self._has_nodes(g, values))[0]

    def longest_of_two(self, g: Graph, windows: Windows, at: Value, nodes: Value, here: Value) -> Value:
        """As ``longest`` for all places of some words, but no piece where two windows are not enough to tell, for few
        pieces are so long.

        :param here: int32 [Q], 0, 1, 2, ... :return: int32 [Q]; less than a character, and not 0, for no piece.
        """
        window = windows(g, at)
        values = self._within(g, window, nodes)
        if self.trie.windows < 2:
            return values

        def one_more(g: Graph) -> list[Value]:
            mine = keep(g, here, values >= self.trie.node)
            # As many places further is still the same word.
            found = self._within(
                g, look_up(g, window, mine + self.trie.window), look_up(g, values, mine) - self.trie.node
            )
            if self.trie.windows > 2:
                # A node's number instead.
                found = g.op("BitwiseAnd", found, self.trie.node - 1)
            return [g.op("ScatterElements", values, mine, found)]

        return g.if_(self._has_nodes(g, values), one_more, lambda g: [values])[0]

    def _within(self, g: Graph, window: Value, nodes: Value) -> Value:
        """As ``longest``, at most a window further.

        :param window: int64 [Q], see ``Windows``. :param nodes: int32 [Q], from which it goes on.
        :return: int32 [Q], of the longest piece, or of the node that the full window leads to.
        """
        trie = self.trie
        # A window's first 1, 2, ... codes: keys that begin alike.
        masks = np.array([(1 << (i + 1) * self.alphabet.width + trie.node_bits) - 1 for i in range(trie.window)])
        keys = (g.op("BitwiseAnd", window, masks[:, None]) + nodes.cast(np.int64)).reshape(-1)
        slots = self.hash.slots(g, keys)
        found = look_up(g, self.hash.keys, slots).equals(keys).cast(np.int32)
        leads = (look_up(g, self.values, slots) * found).reshape(trie.window, -1)
        longest = g.op("ReduceMax", leads, np.array([0]), keepdims=0)
        return g.op("Max", longest, look_up(g, self.node_values, nodes))

    def _has_nodes(self, g: Graph, values: Value) -> Value:
        """:param values: int32 [Q]. :return: bool [], whether full windows lead to nodes somewhere."""
        return g.op("ReduceMax", values, keepdims=0) >= self.trie.node

    def by_packs(self, packs: Value) -> Windows:
        """:param packs: int32 [C], see ``pack_codes``."""
        return self._windows(packs, self.alphabet.packed)

    def by_codes(self, narrow: Value) -> Windows:
        """:param narrow: int32 [C], see ``narrow_codes``."""
        return self._windows(narrow, 1)

    def _windows(self, packs: Value, packed: int) -> Windows:
        """:param packs: int32 [C], so many narrow codes from each place on."""
        trie, width = self.trie, self.alphabet.width

        def windows(g: Graph, at: Value) -> Value:
            begins = np.arange(0, trie.window, packed, dtype=at.dtype)
            mine = look_up(g, packs, (at + (1 + begins)[:, None]).reshape(-1)).cast(np.int64)
            factors = np.array([1 << int(begin) * width + trie.node_bits for begin in begins])
            return g.op("MatMul", factors, mine.reshape(len(begins), -1))

        return windows
