"""The words that are no pieces themselves: the longest piece from the left, then the longest of what is left.

Few words: the longest piece is looked for at every character of theirs at once, and the chain is followed from each
word's first character. Many: one piece a round of all words that go on. A chain that comes to a place without a piece
makes the whole word unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.alphabet import Alphabet
from m2v_export.text.arrays import doubled, keep, look_up, positions, reachable, zeros
from m2v_export.text.hashing import HashTable
from m2v_export.text.merge import merge_at_codes, merge_at_words
from m2v_export.text.places import MissedPlaces, places_of
from m2v_export.text.vocabulary import DEAD, NODE, Trie
from m2v_export.text.words import WordPlaces

FEW_WORDS = 120
"""Up to so many words it is faster to search at all their characters at once than piece by piece."""

STEPPED_WORD = 128
"""Characters of a word that has few enough pieces to go piece by piece."""

SHORT_WORD = 32
"""Characters of a word whose pieces SHORT_ROUNDS reach."""

SHORT_ROUNDS = 5
"""Rounds of doubling the distance."""


@dataclass(frozen=True, eq=False)
class Search:
    """What the search for pieces begins with.

    :ivar windows: int64 [P], what follows each place, above the bits of a node; all bits from the word's end on, which
        no piece has.
    :ivar nodes: int32 [P], the node of each character.
    :ivar values: int32 [P], its value.
    """

    windows: Value
    nodes: Value
    values: Value


class Pieces:
    """The search for pieces, as constants of a graph."""

    def __init__(self, g: Graph, trie: Trie, alphabet: Alphabet, unk_id: int) -> None:
        self.trie = trie
        self.unk_id = unk_id
        self.alphabet = alphabet
        self.hash = HashTable(g, trie.hash, "pieces", np.int64)
        self.values = g.constant(trie.values, "pieces_values")
        self.node_values = g.constant(trie.node_values, "pieces_node_values")

    def begin(self, g: Graph, words: WordPlaces, places: MissedPlaces) -> Search:
        trie, alphabet = self.trie, self.alphabet
        nodes = look_up(g, words.codes, places.at) + places.inside * trie.inside
        begins = np.arange(0, trie.window, alphabet.packed, dtype=np.int32)
        packs = look_up(g, words.packs, (places.at + (1 + begins)[:, None]).reshape(-1)).cast(np.int64)
        factors = np.array([[1 << int(begin) * alphabet.width + trie.node_bits for begin in begins]])
        window = g.op("MatMul", factors, packs.reshape(len(begins), -1)).squeeze(0)
        # The character itself is not in the window.
        fillers = [-(1 << max(0, i - 1) * alphabet.width + trie.node_bits) for i in range(trie.window + 1)]
        left = g.op("Min", places.left, np.array([trie.window + 1], np.int32))
        filler = look_up(g, g.constant(np.array([*fillers, 0]), "pieces_fillers"), left)
        return Search(g.op("BitwiseOr", window, filler), nodes, look_up(g, self.node_values, nodes))

    def value(self, token_id: int) -> int:
        """Of a piece of one character, which is enough to tell that it is one."""
        return (1 << self.trie.id_bits) + token_id

    def ids(self, values: Value) -> Value:
        """:param values: int32 [P], of pieces. :return: int32 [P]."""
        return values.graph.op("BitwiseAnd", values, (1 << self.trie.id_bits) - 1)

    def length(self, values: Value) -> Value:
        """:param values: int32 [P]. :return: int32 [P], characters."""
        return values // (1 << self.trie.id_bits)

    def longest(self, g: Graph, search: Search, places: Value | None = None) -> Value:
        """Search for the longest piece at some places.

        :param places: int32 [Q]; None for all.
        :return: int32 [Q], its value, DEAD or ENDED.
        """
        trie = self.trie
        windows, nodes, values = (
            of if places is None else look_up(g, of, places) for of in (search.windows, search.nodes, search.values)
        )
        values = self._within(g, windows, nodes, values)
        if trie.windows < 2:
            return values

        def has_nodes(g: Graph, values: Value) -> Value:
            return g.op("ReduceMax", values, keepdims=0) >= NODE

        def one_window(g: Graph, _: Value, values: Value, reach: Value) -> tuple[Value, list[Value], list[Value]]:
            here = positions(g, (values >= NODE).cast(np.int32))
            nodes = look_up(g, values, here) - NODE
            behind = (here.cast(np.int32) if places is None else look_up(g, places, here)) + reach
            found = self._within(g, look_up(g, search.windows, behind), nodes, look_up(g, self.node_values, nodes))
            values = g.op("ScatterElements", values, here, found)
            return has_nodes(g, values), [values, reach + trie.window], []

        reach = g.constant(np.array(trie.window, np.int32))
        return g.loop([values, reach], one_window, condition=has_nodes(g, values))[0]

    def _within(self, g: Graph, windows: Value, nodes: Value, values: Value) -> Value:
        """Search at most a window further.

        :param windows: int64 [Q]. :param nodes: int32 [Q]. :param values: int32 [Q], of the nodes.
        :return: int32 [Q], of the longest piece, or of the node that the full window leads to.
        """
        trie = self.trie
        masks = [(1 << (i + 1) * self.alphabet.width + trie.node_bits) - 1 for i in range(trie.window)]
        keys = g.op("BitwiseAnd", windows, np.array(masks)[:, None]) + nodes.cast(np.int64)
        keys = keys.reshape(-1)
        slots = self.hash.slots(g, keys)
        found = look_up(g, self.hash.keys, slots).equals(keys).cast(np.int32)
        leads = (look_up(g, self.values, slots) * found).reshape(trie.window, -1)
        return g.op("Max", g.op("ReduceMax", leads, np.array([0]), keepdims=0), values)


def match_missed(
    g: Graph, pieces: Pieces, words: WordPlaces, ids: Value, missed: Value, text_starts: Value, longest_word: int
) -> list[Value]:
    """Put the pieces of some words in the place of these words.

    :param ids: int32 [W + 1], of the others. :param missed: int64 [M], M > 0, which words, ascending.
    :param text_starts: int64 [N], where each text begins in the codes.
    :param longest_word: longer words are unknown.
    :return: int32 [T], int64 [N], int32 []: ids, where each text's begin, and 1 where a word is unknown.
    """
    starts, gaps = look_up(g, words.starts, missed), look_up(g, words.gaps, missed)
    values = ids + pieces.value(0)

    def results(merged: tuple[Value, Value], unknown: Value) -> list[Value]:
        return [pieces.ids(merged[0]), merged[1], g.op("ReduceMax", unknown, keepdims=0)]

    # Of a word that is too long as many places as tell that.
    sizes = g.op("Min", gaps, np.array([longest_word + 1], np.int32))
    places = places_of(g, starts, sizes)
    search = pieces.begin(g, words, places)

    def too_long(g: Graph) -> Value:
        last = look_up(g, words.codes, starts + g.op("Min", gaps - 1, np.array([longest_word], np.int32)))
        return ((gaps > longest_word) & (last >= 0)).cast(np.int32)

    def many(g: Graph) -> list[Value]:
        emitted, unknown = emit(g, pieces, places, step(g, pieces, places, search), too_long(g))
        return results(merge_at_words(g, words, values, missed, sizes, places, emitted, text_starts), unknown)

    def few(g: Graph) -> list[Value]:
        found, unknown = leap(g, pieces, places, search, sizes, longest_word, too_long)
        emitted, unknown = emit(g, pieces, places, found, unknown)
        return results(merge_at_codes(g, words, values, places, emitted, text_starts), unknown)

    are_many = missed.size() > FEW_WORDS
    if longest_word >= STEPPED_WORD:
        are_many = are_many & (g.op("ReduceMax", sizes) <= STEPPED_WORD)
    return g.if_(are_many, many, few)


def leap(
    g: Graph,
    pieces: Pieces,
    places: MissedPlaces,
    search: Search,
    sizes: Value,
    longest_word: int,
    too_long: Callable[[Graph], Value],
) -> tuple[Value, Value]:
    """Search at all places at once, then follow the chains, doubling the distance: no word is too long for this.

    :param sizes: int32 [M], each word's places. :param too_long: int32 [M], 1 for words longer than ``longest_word``.
    :return: int32 [P], values where a chain comes by, else 0; int32 [M], 1 for what is too long.
    """
    values = pieces.longest(g, search)
    reached, jump = doubled(g, 1 - places.inside, places.here + pieces.length(values), SHORT_ROUNDS)

    def longer(g: Graph) -> list[Value]:
        return [reachable(g, reached, jump), too_long(g)]

    if longest_word < SHORT_WORD:
        reached, unknown = longer(g)
    else:
        is_short = g.op("ReduceMax", sizes) <= SHORT_WORD
        reached, unknown = g.if_(is_short, lambda g: [reached, places.zeros], longer)
    return values * reached, unknown


def step(g: Graph, pieces: Pieces, places: MissedPlaces, search: Search) -> Value:
    """As ``leap``, by one piece a round of all words that go on: a fourth of the places."""

    def one_piece(g: Graph, _: Value, place: Value, values: Value) -> tuple[Value, list[Value], list[Value]]:
        found = pieces.longest(g, search, place)
        values = g.op("ScatterElements", values, place, found)
        after = place + pieces.length(found)
        goes_on = (look_up(g, search.nodes, after) >= pieces.trie.inside) & (after > place)
        place = keep(g, after, goes_on)
        return g.op("Size", place) > 0, [place, values], []

    return g.loop([places.firsts, zeros(g, places.here.size())], one_piece)[1]


def emit(g: Graph, pieces: Pieces, places: MissedPlaces, values: Value, unknown: Value) -> tuple[Value, Value]:
    """A word whose chain is broken becomes the unknown token, at its first place.

    :param values: int32 [P], where chains come by, else 0. :param unknown: int32 [M], 1 for what is unknown anyway.
    :return: int32 [P], int32 [M]: values of pieces, else 0; and 1 for what is unknown.
    """
    dead = values.equals(DEAD).cast(np.int32)
    unknown = g.op("ScatterElements", unknown, places.word, dead, reduction="max")
    values = values * look_up(g, 1 - unknown, places.word)
    values = g.op("ScatterElements", values, places.firsts, unknown * pieces.value(pieces.unk_id), reduction="max")
    return values, unknown
