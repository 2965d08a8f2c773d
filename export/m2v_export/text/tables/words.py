"""The look-up of whole words: keys of a fixed length in a perfect hash."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_export.text.tables.alphabet import DROPPED, Alphabet
from m2v_export.text.tables.hashing import Bits, HighBits, PerfectHash, Spread, first_built

WORD_CHARACTERS = 13
"""Whole words are found up to this many characters at least: longer ones are rare, and made of pieces."""


@dataclass(frozen=True)
class WordKeys:
    """A word's key: the code of its first character, and packs of the narrow codes that follow.

    :ivar width: bits of a narrow code. :ivar packed: narrow codes of a pack. :ivar packs: packs of a key.
    """

    width: int
    packed: int
    packs: int

    @property
    def reach(self) -> int:
        """The most characters that a key can see. Words in the table have fewer, so that a longer one's key differs."""
        return 1 + self.packs * self.packed

    @classmethod
    def of(cls, alphabet: Alphabet, characters: int) -> "WordKeys":
        return cls(alphabet.width, alphabet.packed, -(-characters // alphabet.packed))

    @property
    def most(self) -> int:
        """More than the parts of a key add up to, and the parts of the empty slots."""
        return (self.packs << self.packed * self.width) + DROPPED

    def key(self, codes: Sequence[int]) -> list[int]:
        """:param codes: of a word of less than ``reach`` characters. :return: its first code, and its packs."""
        return [codes[0], *(pack(codes[1 + i * self.packed :][: self.packed], self.width) for i in range(self.packs))]


@dataclass(frozen=True, eq=False)
class Words:
    """Whole words.

    :ivar factors: int32 or int64 [1 + packs], what a word's key is hashed by: the sum of the products, which wraps
        around as these integers do in every build of onnxruntime.
    :ivar ids: int32 [slots].
    """

    keys: WordKeys
    factors: npt.NDArray[np.int32] | npt.NDArray[np.int64]
    hash: PerfectHash
    ids: npt.NDArray[np.int32]


def pack(codes: Sequence[int], width: int) -> int:
    """The narrow codes' own bits: a sign's bit is not in them, as it is known from the word's first character."""
    return sum((code & (1 << width) - 1) << (i * width) for i, code in enumerate(codes))


def read_words(alphabet: Alphabet, begins: Mapping[tuple[int, ...], int], characters: int = WORD_CHARACTERS) -> Words:
    """:param begins: ids of the pieces that begin a word, and of added tokens, by their codes.
    :param characters: longer words need not be found.

    :raises ExportError: when no perfect hash was found.
    """
    return store_words(WordKeys.of(alphabet, characters), begins)


def store_words(keys: WordKeys, ids: Mapping[tuple[int, ...], int]) -> Words:
    """As ``read_words``. :param ids: by codes; words that the keys do not tell apart from longer ones are left out."""
    within = {codes: token_id for codes, token_id in ids.items() if len(codes) < keys.reach}
    parts = np.array([keys.key(codes) for codes in within], np.int64).reshape(-1, 1 + keys.packs).T
    factors, table, slots = first_built(parts, _hashes(parts))
    stored = np.zeros(table.slots, np.int32)
    stored[slots] = [*within.values()]
    return Words(keys, factors, table, stored)


MANY_WORDS = 50_000
"""Up to so many words hashes of 32 bits are all different after a try or two."""

SHORT_TRIES = 20
"""With 32 bits; words that are very much alike, such as w0, w1, w2 and so on, need 64."""


def _hashes(parts: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any], Spread]]:
    """Ways to hash words, for ``first_built``: odd factors, or the product would lose a bit.

    :param parts: int64 [1 + packs, words].
    """
    words, rng = parts.shape[1], np.random.default_rng(0)
    ways: list[tuple[type[np.signedinteger[Any]], Iterable[Spread]]] = [(np.int64, HighBits.tries(words))]
    if words <= MANY_WORDS:
        ways.insert(0, (np.int32, repeat(Bits.for_keys(words), SHORT_TRIES)))
    for dtype, spread in ((dtype, spread) for dtype, spreads in ways for spread in spreads):
        half = np.iinfo(dtype).max // 2
        factors = rng.integers(-half, half, len(parts)).astype(dtype) * 2 + 1
        yield factors, (factors.astype(np.int64) @ parts).astype(dtype), spread
