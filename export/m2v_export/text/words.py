"""Where words begin, and the search for whole words."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graph import Graph, Value
from m2v_export.text.alphabet import ISOLATED, SEPARATOR, Alphabet
from m2v_export.text.arrays import END, counted, look_up, positions
from m2v_export.text.hashing import HashTable, mix
from m2v_export.text.vocabulary import WordKeys, Words


@dataclass(frozen=True, eq=False)
class WordPlaces:
    """:ivar codes: int32 [C].
    :ivar packs: int32 [less than C], see ``pack_codes``.
    :ivar starts: int64 [W], the place of each word's first character.
    :ivar gaps: int64 [W], from there to the next word: the word and what separates it from the next.
    :ivar first_words: int64 [N], the number of words before each text.
    """

    codes: Value
    packs: Value
    starts: Value
    gaps: Value
    first_words: Value


def split_words(g: Graph, codes: Value, text_starts: Value, alphabet: Alphabet) -> WordPlaces:
    """A word begins at what is no separator, where it is isolated, or follows no part of a word, or begins a text.

    :param codes: int32 [C + PADDED], the last word is the end. :param text_starts: int64 [N].
    """
    previous = g.op("Pad", codes, np.array([1, -1]), np.array(SEPARATOR, np.int32))
    none = g.op("Expand", np.array([SEPARATOR], np.int32), text_starts.size())
    # Empty texts share their place with the next one, hence a reduction: the separator is the least code.
    previous = g.op("ScatterElements", previous, text_starts, none, reduction="min")
    # What follows a separator or an isolated character, which have the bit, is a word's begin unless it is a separator.
    begins = (codes + g.op("BitwiseAnd", previous, ISOLATED) >= ISOLATED).cast(np.int32)
    places = positions(g, begins)
    starts = places.slice(0, -1)
    gaps = places.slice(1, END) - starts
    count = counted(g, begins)
    return WordPlaces(
        codes, pack_codes(g, codes, alphabet), starts, gaps, look_up(g, count, text_starts).cast(np.int64)
    )


def pack_codes(g: Graph, codes: Value, alphabet: Alphabet) -> Value:
    """At every place the narrow codes from there on, ``alphabet.packed`` of them, the first in the lowest bits.

    Separators are 0 there, and wide and isolated ones have all bits, which no piece has.

    :param codes: int32 [C]. :return: int32 [less than C], all but the last places.
    """
    narrow = g.op("Clip", codes, np.array(0, np.int32), np.array((1 << alphabet.width) - 1, np.int32))
    pack, size = narrow, 1
    while 2 * size <= alphabet.packed:
        pack = pack.slice(0, -size) + pack.slice(size, END) * (1 << size * alphabet.width)
        size *= 2
    if size < alphabet.packed:  # three
        pack = pack.slice(0, -1) + narrow.slice(size, END) * (1 << size * alphabet.width)
    return pack


class WholeWords:
    """The search for whole words, as constants of a graph."""

    def __init__(self, g: Graph, words: Words, alphabet: Alphabet) -> None:
        self.keys = words.keys
        self.alphabet = alphabet
        self.hash = HashTable(g, words.hash, "words")
        self.ids = g.constant(words.ids, "words_ids")
        self.masks = g.constant(_masks(words.keys), "words_masks")

    def find(self, g: Graph, places: WordPlaces) -> tuple[Value, Value]:
        """:return: int32 [W], bool [W]: the word's id, and whether it was found."""
        keys = self.keys
        first = g.op("BitwiseAnd", look_up(g, places.codes, places.starts), ISOLATED - 1)
        rows = np.arange(keys.packs)[:, None]
        windows = look_up(g, places.packs, (places.starts + (1 + rows * keys.packed)).reshape(-1))
        left = g.op("Min", places.gaps, np.array([keys.reach]))
        masks = look_up(g, self.masks, (left + rows * (keys.reach + 1)).reshape(-1))
        packs = g.concat([first, g.op("BitwiseAnd", windows, masks)]).cast(np.int64).reshape(1 + keys.packs, -1)
        parts = g.op("MatMul", g.constant(_key_of_packs(keys)), packs)
        *key, mixed = (g.op("Gather", parts, np.array(i), axis=0) for i in range(keys.parts + 1))
        slot, found = self.hash.find(g, key, mixed)
        return look_up(g, self.ids, slot), found


def _key_of_packs(keys: WordKeys) -> npt.NDArray[np.int64]:
    """What makes of a word's first character and its packs the parts of its key, and these mixed.

    :return: int64 [parts + 1, 1 + packs].
    """
    parts = np.zeros((keys.parts, 1 + keys.packs), np.int64)
    for i in range(keys.packs):
        parts[i // 2, 1 + i] = 1 << (i % 2 * keys.packed * keys.width)
    parts[-1] <<= keys.number_bits
    parts[-1, 0] = 1
    return np.concatenate([parts, mix(parts, keys.factors)[None]])


def _masks(keys: WordKeys) -> npt.NDArray[np.int32]:
    """The bits of each pack that are the word's own, by the place of the next word.

    :return: int32 [packs * (reach + 1)].
    """
    masks = np.zeros((keys.packs, keys.reach + 1), np.int32)
    for row in range(keys.packs):
        for gap in range(keys.reach + 1):
            # The first character is not in the packs, and not all codes of the last fit the key.
            begin, end = row * keys.packed, min(gap - 1, keys.codes)
            codes = max(0, min(keys.packed, end - begin))
            masks[row, gap] = (1 << codes * keys.width) - 1
    return masks.reshape(-1)
