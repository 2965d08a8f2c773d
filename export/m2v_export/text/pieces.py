"""The words that are no pieces themselves: the longest piece from the left, then the longest of what is left.

Few words: the longest piece is looked for at every character of theirs at once, and the chain is followed from each
word's first character. Many: one piece a round of all words that go on. A chain that comes to a place without a piece
makes the whole word unknown.
"""

from collections.abc import Callable

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.alphabet import Alphabet
from m2v_export.text.arrays import doubled, keep, look_up, numbered, ones, places_where, reachable, zeros_like
from m2v_export.text.hashing import HashTable
from m2v_export.text.merge import Steps, merge_at_codes, merge_at_words
from m2v_export.text.places import MissedPlaces, places_of
from m2v_export.text.vocabulary import DEAD, NODE, Trie
from m2v_export.text.words import WordPlaces

FEW_WORDS = 200
"""Up to so many words it is faster to search at all their characters at once than piece by piece."""

STEPPED_WORD = 128
"""Characters of a word that has few enough pieces to go piece by piece."""

SHORT_WORD = 32
"""Characters of a word whose pieces SHORT_ROUNDS reach."""

SHORT_ROUNDS = 5
"""Rounds of doubling the distance."""

ROUND = 1 << 32
"""A round, above the number of a word."""


Further = Callable[[Graph, Value, Value], Value]
"""The graph, int32 [R], which places, int32 [], how much further: int64 [R]."""


class Pieces:
    """The search for pieces, as constants of a graph."""

    def __init__(self, g: Graph, trie: Trie, alphabet: Alphabet, unk_id: int) -> None:
        self.trie = trie
        self.unk_id = unk_id
        self.alphabet = alphabet
        self.hash = HashTable(g, trie.hash, "pieces", np.int64)
        self.values = g.constant(trie.values, "pieces_values")
        self.node_values = g.constant(trie.node_values, "pieces_node_values")

    def value(self, token_id: int) -> int:
        """Of a piece of one character, which is enough to tell that it is one."""
        return (1 << self.trie.id_bits) + token_id

    def ids(self, values: Value) -> Value:
        """:param values: int32 [P], of pieces. :return: int32 [P]."""
        return values.graph.op("BitwiseAnd", values, (1 << self.trie.id_bits) - 1)

    def length(self, values: Value) -> Value:
        """:param values: int32 [P]. :return: int32 [P], characters."""
        return values // (1 << self.trie.id_bits)

    def longest(self, g: Graph, windows: Value, nodes: Value, further: Further) -> Value:
        """Search for the longest piece at some places.

        :param windows: int64 [Q], see ``windows``. :param nodes: int32 [Q], of the characters there.
        :param further: gives the windows that are some characters further on.
        :return: int32 [Q], its value, DEAD or ENDED.
        """
        trie = self.trie
        values = self._within(g, windows, nodes)
        if trie.windows < 2:
            return values

        def has_nodes(g: Graph, values: Value) -> Value:
            return g.op("ReduceMax", values, keepdims=0) >= NODE

        def one_window(g: Graph, _: Value, values: Value, reach: Value) -> tuple[Value, list[Value], list[Value]]:
            here = places_where(g, values >= NODE)
            found = self._within(g, further(g, here, reach), look_up(g, values, here) - NODE)
            values = g.op("ScatterElements", values, here, found)
            return has_nodes(g, values), [values, reach + trie.window], []

        reach = g.constant(np.array(trie.window, np.int32))
        return g.loop([values, reach], one_window, condition=has_nodes(g, values))[0]

    def _within(self, g: Graph, windows: Value, nodes: Value) -> Value:
        """As ``longest``, at most a window further.

        :param nodes: int32 [Q], from which the window goes on.
        :return: int32 [Q], of the longest piece, or of the node that the full window leads to.
        """
        trie = self.trie
        masks = [(1 << (i + 1) * self.alphabet.width + trie.node_bits) - 1 for i in range(trie.window)]
        keys = g.op("BitwiseAnd", windows, np.array(masks)[:, None]) + nodes.cast(np.int64)
        keys = keys.reshape(-1)
        slots = self.hash.slots(g, keys)
        found = look_up(g, self.hash.keys, slots).equals(keys).cast(np.int32)
        leads = (look_up(g, self.values, slots) * found).reshape(trie.window, -1)
        longest = g.op("ReduceMax", leads, np.array([0]), keepdims=0)
        return g.op("Max", longest, look_up(g, self.node_values, nodes))

    def windows(self, g: Graph, words: WordPlaces, at: Value, left: Value) -> Value:
        """:param at: int32 [Q], places in the codes. :param left: int32 [Q], from there to the next word's.
        :return: int64 [Q], what follows each place, above the bits of a node; all bits from the word's end on, which no
        piece has.
        """
        trie, alphabet = self.trie, self.alphabet
        begins = np.arange(0, trie.window, alphabet.packed, dtype=np.int32)
        packs = look_up(g, words.packs, (at + (1 + begins)[:, None]).reshape(-1)).cast(np.int64)
        factors = np.array([1 << int(begin) * alphabet.width + trie.node_bits for begin in begins])
        window = g.op("MatMul", factors, packs.reshape(len(begins), -1))
        # The character itself is not in the window.
        fillers = [-(1 << max(0, i - 1) * alphabet.width + trie.node_bits) for i in range(trie.window + 1)]
        left = g.op("Min", left, np.array([trie.window + 1], np.int32))
        return g.op("BitwiseOr", window, look_up(g, g.constant(np.array([*fillers, 0]), "pieces_fillers"), left))


def match_missed(
    g: Graph, pieces: Pieces, words: WordPlaces, ids: Value, missed: Value, text_starts: Value, longest_word: int
) -> list[Value]:
    """Put the pieces of some words in the place of these words.

    :param ids: int32 [W + 1], of the others. :param missed: int64 [M], M > 0, which words, ascending; the last is the
        end.
    :param text_starts: int32 [N], where each text begins in the codes.
    :param longest_word: longer words are unknown.
    :return: int32 [T], int32 [N], bool [1]: ids, where each text's begin, and whether a word is unknown.
    """
    starts, gaps = look_up(g, words.starts, missed), look_up(g, words.gaps, missed)
    # Of a word that is too long as many places as tell that.
    sizes = g.op("Min", gaps, np.array([longest_word + 1], np.int32))

    def too_long(g: Graph) -> Value:
        last = look_up(g, words.codes, starts + g.op("Min", gaps - 1, np.array([longest_word], np.int32)))
        return ((gaps > longest_word) & (last >= 0)).cast(np.int32)

    def many(g: Graph) -> list[Value]:
        steps = step(g, pieces, words, starts, sizes)
        died = keep(g, steps.words, steps.values.equals(DEAD))
        unknown = g.op("ScatterElements", too_long(g), died, ones(g, died.size()))
        found = Steps(pieces.ids(steps.values), steps.words, steps.rounds)
        merged = merge_at_words(g, words, ids, missed, found, unknown, pieces.unk_id, text_starts)
        return [*merged, g.op("ReduceMax", unknown) > 0]

    def few(g: Graph) -> list[Value]:
        places = places_of(g, starts, sizes)
        found, unknown = leap(g, pieces, words, places, sizes, longest_word, too_long)
        emitted, unknown = emit(g, pieces, places, found, unknown)
        merged, merged_starts = merge_at_codes(g, words, ids + pieces.value(0), places, emitted, text_starts)
        return [pieces.ids(merged), merged_starts, g.op("ReduceMax", unknown) > 0]

    are_many = missed.size() > FEW_WORDS
    if longest_word >= STEPPED_WORD:
        are_many = are_many & (g.op("ReduceMax", sizes) <= STEPPED_WORD)
    return g.if_(are_many, many, few)


def leap(
    g: Graph,
    pieces: Pieces,
    words: WordPlaces,
    places: MissedPlaces,
    sizes: Value,
    longest_word: int,
    too_long: Callable[[Graph], Value],
) -> tuple[Value, Value]:
    """Search at all places at once, then follow the chains, doubling the distance: no word is too long for this.

    :param sizes: int32 [M], each word's places. :param too_long: int32 [M], 1 for words longer than ``longest_word``.
    :return: int32 [P], values where a chain comes by, else 0; int32 [M], 1 for what is too long.
    """
    nodes = look_up(g, words.codes, places.at) + places.begins * pieces.trie.begin
    windows = pieces.windows(g, words, places.at, places.left)
    values = pieces.longest(g, windows, nodes, lambda g, here, reach: look_up(g, windows, here + reach))
    reached, jump = doubled(g, places.begins, places.here + pieces.length(values), SHORT_ROUNDS)

    def longer(g: Graph) -> list[Value]:
        return [reachable(g, reached, jump), too_long(g)]

    if longest_word < SHORT_WORD:
        reached, unknown = longer(g)
    else:
        is_short = g.op("ReduceMax", sizes) <= SHORT_WORD
        reached, unknown = g.if_(is_short, lambda g: [reached, zeros_like(sizes)], longer)
    return values * reached, unknown


def step(g: Graph, pieces: Pieces, words: WordPlaces, starts: Value, sizes: Value) -> Steps:
    """One piece a round of all words that go on: a fourth of the places.

    :param starts: int32 [M], each word's place in the codes. :param sizes: int32 [M], its places.
    """

    def one_round(
        g: Graph, _: Value, at: Value, left: Value, nodes: Value, word: Value, values: Value, of_words: Value
    ) -> tuple[Value, list[Value], list[Value]]:

        def further(g: Graph, here: Value, reach: Value) -> Value:
            return pieces.windows(g, words, look_up(g, at, here) + reach, look_up(g, left, here) - reach)

        found = pieces.longest(g, pieces.windows(g, words, at, left), nodes, further)
        length = pieces.length(found)
        after, left_after = at + length, left - length
        nodes_after = look_up(g, words.codes, after)
        # None is found, the next word begins, or a separator follows: no part of a word has the code 0.
        goes_on = g.op("Min", length, left_after, nodes_after) > 0
        done = [g.concat([values, found]), g.concat([of_words, word])]
        following = [keep(g, of, goes_on) for of in (after, left_after, nodes_after, word + ROUND)]
        return g.op("Size", following[0]) > 0, [*following, *done], []

    nodes = look_up(g, words.codes, starts) + pieces.trie.begin
    word = numbered(g, starts.size())
    nothing = (g.constant(np.zeros(0, dtype)) for dtype in (np.int32, np.int64))
    values, of_words = g.loop([starts, sizes, nodes, word, *nothing], one_round)[4:]
    return Steps(values, g.op("BitwiseAnd", of_words, ROUND - 1).cast(np.int32), (of_words // ROUND).cast(np.int32))


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
