"""The words that are no pieces themselves: the longest piece from the left, then the longest of what is left.

The longest piece is looked for at every character of these words at once; then the chain is followed from each word's
first character. A chain that comes to a place without a piece makes the whole word unknown.
"""

from dataclasses import dataclass

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.alphabet import Alphabet, numbers_of
from m2v_export.text.arrays import END, counted, keep, look_up, numbered, ones, reachable, zeros
from m2v_export.text.hashing import HashTable
from m2v_export.text.vocabulary import DEAD, Trie
from m2v_export.text.words import WordPlaces


@dataclass(frozen=True, eq=False)
class MissedPlaces:
    """The characters of some words, and for each word a place more, its end.

    :ivar here: int64 [P], 0, 1, 2, ...
    :ivar at: int64 [P], the place in the codes.
    :ivar word: int32 [P], the number of the word.
    :ivar firsts: int64 [M], each word's first place. :ivar ends: int64 [M], each word's last, its end.
    :ivar is_first: int32 [P], 1 where a word begins.
    :ivar too_long: bool [M], whether the word is unknown for its length; it has one character here.
    """

    here: Value
    at: Value
    word: Value
    firsts: Value
    ends: Value
    is_first: Value
    too_long: Value


def places_of(g: Graph, words: WordPlaces, missed: Value, longest_word: int) -> MissedPlaces:
    """:param missed: int64 [M], M > 0, which words."""
    starts, gaps = look_up(g, words.starts, missed), look_up(g, words.gaps, missed)
    # From this place of a word on there is nothing but separators, unless the word is too long or another follows.
    last = g.op("Min", gaps - 1, np.array([longest_word]))
    is_part = look_up(g, words.codes, starts + last) >= 0
    too_long = (gaps > longest_word) & is_part
    # A separator serves as the word's end.
    sizes = g.op("Where", too_long, np.array([2]), last + is_part.cast(np.int64) + 1)
    behind = g.op("CumSum", sizes, np.array(0)).of_rank(1)
    total, firsts = behind.slice(-1, END), behind - sizes
    is_first = g.op("ScatterElements", zeros(g, total), firsts, ones(g, missed.size()))
    word = g.op("CumSum", is_first, np.array(0)).of_rank(1) - 1
    here = numbered(g, total)
    at = here + look_up(g, starts - firsts, word)
    return MissedPlaces(here, at, word, firsts, behind - 1, is_first, too_long)


class Pieces:
    """The search for pieces, as constants of a graph."""

    def __init__(self, g: Graph, trie: Trie, alphabet: Alphabet) -> None:
        self.trie = trie
        self.alphabet = alphabet
        self.hash = HashTable(g, trie.hash, "pieces")
        self.steps = g.constant(trie.steps, "pieces_steps")
        self.ids = g.constant(trie.ids, "pieces_ids")
        self.lengths = g.constant(trie.lengths, "pieces_lengths")
        self.end = 2 * trie.inside - 1
        fillers = [-(1 << i * alphabet.width + trie.node_bits) for i in range(trie.window)]
        self.fillers = g.constant(np.array([*fillers, 0]) & (1 << trie.window_bits) - 1, "pieces_fillers")

    def begin(self, g: Graph, words: WordPlaces, places: MissedPlaces) -> tuple[Value, Value]:
        """What the search begins with at each place.

        :return: int32 [P], int64 [P + 1]: the node of the character, and the codes from a place on.
        """
        trie = self.trie
        number = numbers_of(g, look_up(g, words.codes, places.at), self.alphabet)
        # The last number, inside a word, is the end's.
        end = g.op("Expand", np.array([trie.inside - 1], np.int32), places.ends.size())
        number = g.op("ScatterElements", number, places.ends, end)
        node = number + trie.inside - places.is_first * trie.inside
        # The search may look behind the last end, where nothing is found.
        behind = np.array([(1 << trie.window_bits) - (1 << trie.node_bits)])
        return node, g.concat([self._windows(g, words.packs, places), behind])

    def longest(self, g: Graph, windows: Value, node: Value, after: Value) -> Value:
        """Search for the longest piece at some places.

        :param windows: int64 [P + 1]. :param node: int32 [Q]. :param after: int32 [Q], the places behind.
        :return: int32 [Q], the node that knows it.
        """
        trie = self.trie
        for i, stride in enumerate(trie.strides):
            key = look_up(g, windows, after)
            if stride < trie.window:
                key = g.op("BitwiseAnd", key, (1 << stride * self.alphabet.width + trie.node_bits) - 1)
            key = key + node.cast(np.int64)
            slot, found = self.hash.find(g, [key], key)
            taken = found.cast(np.int32)
            node = node + look_up(g, self.steps, slot) * taken
            if i + 1 < len(trie.strides):
                after = after + taken * stride
        return node

    def _windows(self, g: Graph, packs: Value, places: MissedPlaces) -> Value:
        """The codes from each place on, above the bits of a node; all bits from the word's end on, which no piece has.

        :return: int64 [P].
        """
        trie, alphabet = self.trie, self.alphabet
        window = None
        for begin in range(0, trie.window, alphabet.packed):
            pack = look_up(g, packs, places.at + begin if begin else places.at)
            if trie.window - begin < alphabet.packed:
                pack = g.op("BitwiseAnd", pack, (1 << (trie.window - begin) * alphabet.width) - 1)
            pack = pack.cast(np.int64) * (1 << begin * alphabet.width + trie.node_bits)
            window = pack if window is None else window + pack
        assert window is not None
        left = look_up(g, places.ends, places.word) - places.here
        filler = look_up(g, self.fillers, g.op("Min", left, np.array([trie.window])))
        return g.op("BitwiseOr", window, filler)


def match_pieces(
    g: Graph, pieces: Pieces, words: WordPlaces, missed: Value, unk_id: int, longest_word: int
) -> tuple[Value, Value, Value]:
    """Find the pieces of words.

    :param missed: int64 [M], M > 0, which words, ascending.
    :return: int32 [Q], int32 [Q], int32 [M]: ids in the order of the text; of each the index in ``missed``; and how
        many each word has.
    """
    places = places_of(g, words, missed, longest_word)
    node, windows = pieces.begin(g, words, places)
    longest = g.op("ReduceMax", places.ends - places.firsts)
    word_by_word = (missed.size() > FEW_WORDS) & (longest <= SHORT_WORD)
    node, reached = g.if_(
        word_by_word,
        lambda g: list(step(g, pieces, places, node, windows)),
        lambda g: list(leap(g, pieces, places, node, windows)),
    )
    return emit(g, places, look_up(g, pieces.ids, node), reached, unk_id)


FEW_WORDS = 1000
"""Up to so many words it is faster to search at all their characters at once than piece by piece."""

SHORT_WORD = 32
"""Characters of a word that has few enough pieces to go piece by piece."""


def leap(g: Graph, pieces: Pieces, places: MissedPlaces, node: Value, windows: Value) -> tuple[Value, Value]:
    """Search at all places at once, then follow the chains, doubling the distance: no word is too long for this.

    :return: int32 [P], int32 [P]: nodes, and 1 where a piece begins.
    """
    node = pieces.longest(g, windows, node, places.here.cast(np.int32) + 1)
    lengths = look_up(g, pieces.lengths, node).cast(np.int64)
    return node, reachable(g, places.is_first, g.op("Min", places.here + lengths, node.size() - 1))


def step(g: Graph, pieces: Pieces, places: MissedPlaces, node: Value, windows: Value) -> tuple[Value, Value]:
    """As ``leap``, by one piece a round of all words that go on: a fourth of the places."""
    begins = node

    def one_piece(
        g: Graph, _: Value, place: Value, node: Value, reached: Value
    ) -> tuple[Value, list[Value], list[Value]]:
        found = pieces.longest(g, windows, look_up(g, begins, place), (place + 1).cast(np.int32))
        node = g.op("ScatterElements", node, place, found)
        reached = g.op("ScatterElements", reached, place, ones(g, place.size()))
        after = place + look_up(g, pieces.lengths, found).cast(np.int64)
        # Where there is no piece that is far behind the end.
        place = g.op("Min", after, node.size() - 1)
        place = keep(g, place, ~look_up(g, begins, place).equals(pieces.end))
        return (place.size() > 0).squeeze(0), [place, node, reached], []

    state = [places.firsts, node, zeros(g, node.size())]
    _, node, reached = g.loop(state, one_piece)
    return node, reached


def emit(g: Graph, places: MissedPlaces, ids: Value, reached: Value, unk_id: int) -> tuple[Value, Value, Value]:
    """Keep the pieces; an unknown word keeps its first place.

    :param ids: int32 [P], DEAD where there is no piece, ENDED at a word's end. :param reached: int32 [P], 0 or 1.
    :return: as ``match_pieces``.
    """
    dead = reached * ids.equals(DEAD).cast(np.int32)
    unknown = g.op("ScatterElements", places.too_long.cast(np.int32), places.word, dead, reduction="max")
    is_unknown = look_up(g, unknown, places.word) > 0
    emitted = g.op("Where", is_unknown, places.is_first, reached * (ids >= 0).cast(np.int32))
    ids = g.op("Where", is_unknown, np.array([unk_id], np.int32), ids)
    kept = emitted > 0
    # A word's end is its own, so that the number of pieces before it is that before the next word.
    before = counted(g, emitted)
    per_word = look_up(g, before, places.ends) - look_up(g, before, places.firsts)
    return keep(g, ids, kept), keep(g, places.word, kept), per_word
