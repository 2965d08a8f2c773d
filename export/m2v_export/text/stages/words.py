"""Where words begin, and the search for whole words."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import END, counted, keep, later, look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.tables.alphabet import SEPARATOR, Alphabet
from m2v_export.text.tables.words import WordKeys, Words


@dataclass(frozen=True, eq=False)
class WordPlaces:
    """The words of all texts, and one more, which is the end of the last.

    :ivar codes: int32 [C], as in ``Begins``.
    :ivar nodes: int32 [C], see ``nodes_of``.
    :ivar packs: int32 [C], see ``pack_codes``.
    :ivar starts: int32 [W + 1], the place of each word's first character.
    :ivar gaps: int32 [W + 1], from there to the next word: the word and what separates it from the next.
    """

    codes: Value
    nodes: Value
    packs: Value
    starts: Value
    gaps: Value


@dataclass(frozen=True, eq=False)
class Begins:
    """Where words begin.

    :ivar codes: int32 [C]; of a word that was moved together (``in_place``) only the first one is right.
    :ivar nodes: int32 [C], see ``nodes_of``.
    :ivar places: int32 [W + 2], where words begin, and behind the last.
    """

    codes: Value
    nodes: Value
    places: Value


def find_begins(g: Graph, codes: Value, here: Value, text_starts: Value, alphabet: Alphabet) -> Begins:
    """A word begins at what is no separator, where it is isolated, or follows no part of a word, or begins a text.

    :param codes: int32 [C]. :param here: int32 [C], 0, 1, 2, ... :param text_starts: int32 [N].
    """
    nodes = nodes_of(g, codes, text_starts, alphabet)
    return Begins(codes, nodes, keep(g, here, begin_at(nodes, alphabet)))


def nodes_of(g: Graph, codes: Value, text_starts: Value, alphabet: Alphabet) -> Value:
    """Mark what begins a text, or follows a code with the bit ``isolated``, with that bit; so a sign that follows none,
    and what is none and follows one.

    From that bit on nodes are words' begins; a separator is less when it is marked, too.

    :param codes: int32 [C]. :param text_starts: int32 [N]. :return: int32 [C].
    """
    previous = g.op("Pad", codes, np.array([1, -1]), np.array(SEPARATOR, np.int32)).sized_as(codes)
    none = g.op("BitwiseOr", text_starts, SEPARATOR)
    # Empty texts share their place with the next one, hence a reduction: the separator is the least code.
    previous = g.op("ScatterElements", previous, text_starts, none, reduction="min")
    marks = g.op("BitwiseAnd", previous, alphabet.isolated)
    if alphabet.sign:
        # The bit of signs, where it changes, is half the bit of a begin.
        changes = g.op("BitwiseAnd", g.op("BitwiseXor", previous, codes), alphabet.sign)
        marks = g.op("BitwiseOr", marks, changes * 2)
    return codes + marks


def begin_at(nodes: Value, alphabet: Alphabet) -> Value:
    """:param nodes: int32 [C], see ``nodes_of``. :return: bool [C], where words begin, and behind the last."""
    return nodes >= alphabet.isolated


def is_part(g: Graph, nodes: Value, alphabet: Alphabet) -> Value:
    """:param nodes: int32 [P], see ``nodes_of``. :return: bool [P], whether they are no separators."""
    return g.op("BitwiseAnd", nodes, alphabet.isolated - 1) < alphabet.isolated - 1


def split_words(g: Graph, words: Begins, alphabet: Alphabet) -> WordPlaces:
    starts = words.places.slice(0, -1)
    gaps = words.places.slice(1, END).sized_as(starts) - starts
    packs = pack_codes(g, narrow_codes(g, words.nodes, alphabet), alphabet.width, alphabet.packed)
    return WordPlaces(words.codes, words.nodes, packs, starts, gaps)


def narrow_codes(g: Graph, nodes: Value, alphabet: Alphabet) -> Value:
    """What follows in words, in the bits of a narrow code: all of them for others, which no piece has; 0 for separators
    and words' begins, so that no piece reaches over these.

    :param nodes: int32 [C]. :return: int32 [C].
    """
    narrow = np.zeros(alphabet.nodes + 1, np.int32)
    in_words = np.arange(alphabet.isolated - 1)
    narrow[in_words] = np.minimum(in_words % (alphabet.sign or alphabet.isolated), (1 << alphabet.width) - 1)
    return look_up(g, g.constant(narrow, "narrow_codes"), nodes)


def pack_codes(g: Graph, narrow: Value, width: int, packed: int) -> Value:
    """At every place the narrow codes from there on, ``packed`` of them, the first in the lowest bits.

    :param narrow: int32 [C], see ``narrow_codes``. :param width: bits of each.
    :return: int32 [C], of the last places in part.
    """
    pack, size = narrow, 1
    while size < packed:
        # Twice as many, but for a third one.
        more = pack if 2 * size <= packed else narrow
        pack, size = pack + later(g, more, size) * (1 << size * width), min(2 * size, packed)
    return pack


class WholeWords:
    """The search for whole words, as constants of a graph."""

    def __init__(self, g: Graph, words: Words) -> None:
        self.keys = words.keys
        self.factors = g.constant(words.factors)
        self.hash = HashTable(g, words.hash, "words", words.factors.dtype, np.int32)
        self.ids = g.constant(words.ids, "words_ids")
        self.masks = g.constant(_masks(words.keys), "words_masks")

    def find(self, g: Graph, places: WordPlaces) -> tuple[Value, Value]:
        """:return: int32 [W + 1], int32 [W + 1]: each word's id, and 0 where it was found: at the last one never."""
        keys = self.keys
        rows = np.arange(keys.packs, dtype=np.int32)[:, None]
        windows = look_up(g, places.packs, (places.starts + (1 + rows * keys.packed)).reshape(-1))
        left = g.op("Min", places.gaps, np.array([keys.reach], np.int32))
        masks = look_up(g, self.masks, (left + rows * (keys.reach + 1)).reshape(-1))
        first = look_up(g, places.codes, places.starts)
        return self.search(g, g.concat([first, g.op("BitwiseAnd", windows, masks)]).reshape(1 + keys.packs, -1))

    def search(self, g: Graph, key: Value) -> tuple[Value, Value]:
        """As ``find``. :param key: int32 [1 + packs, W + 1], see ``WordKeys``."""
        keys = self.keys
        slots = self.hash.slots(g, g.op("MatMul", self.factors, key.cast(self.factors.dtype)))
        differs = g.op("Abs", key - self.hash.keys_at(g, slots))
        if keys.most < 2**31:
            # A sum that does not wrap around; a product adds in half the time that it takes to find the greatest.
            differs = g.op("MatMul", np.ones(1 + keys.packs, np.int32), differs)
        else:
            differs = g.op("ReduceMax", differs, np.array([0]), keepdims=0)
        return look_up(g, self.ids, slots), differs


def whole_ids(g: Graph, ids: Value, nodes: Value, text_starts: Value, alphabet: Alphabet) -> tuple[Value, Value]:
    """What the texts become where all words were found.

    :param ids: int32 [W + 1]. :param nodes: int32 [C]. :param text_starts: int32 [N], in the codes.
    :return: int32 [W], int32 [N]: ids, and where each text's begin.
    """
    before = counted(g, begin_at(nodes, alphabet).cast(np.int32))
    return ids.slice(0, -1), look_up(g, before, text_starts)


def _masks(keys: WordKeys) -> npt.NDArray[np.int32]:
    """The bits of each pack that are the word's own, by the place of the next word.

    :return: int32 [packs * (reach + 1)].
    """
    masks = np.zeros((keys.packs, keys.reach + 1), np.int32)
    for row in range(keys.packs):
        for gap in range(keys.reach + 1):
            # The first character is not in the packs.
            begin, end = row * keys.packed, gap - 1
            codes = max(0, min(keys.packed, end - begin))
            masks[row, gap] = (1 << codes * keys.width) - 1
    return masks.reshape(-1)
