"""The look-ups of WordPiece: whole words at once, and the longest piece at a place.

A *window* is a run of narrow codes in one integer, the first in the lowest bits. A word's key is the number of its
first character and windows of what follows. Words that are not found whole are matched piece by piece, in a trie whose
nodes are found by hashing: from the node of the first character, strides of several characters (binary search over the
length: Waldvogel et al. 1997). Each node knows the longest piece on the way to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.alphabet import Alphabet, number_of
from m2v_export.text.hashing import PerfectHash, build

KEY_BITS = 63
"""Bits of a key part: an int64 that is not negative."""

WORD_CHARACTERS = 13
"""Whole words are found up to this many characters at least: longer ones are rare, and made of pieces."""

DEAD = -2
"""In place of a piece's id: no piece begins here, so the word is unknown."""

ENDED = -1
"""In place of a piece's id: here the word ends."""

NO_LENGTH = 1 << 30
"""In place of a piece's length where there is none: farther than every place."""


@dataclass(frozen=True, eq=False)
class WordKeys:
    """How a word becomes a key: int64 parts of two packs each, below the last of them the first character's number.

    :ivar width: bits of a code. :ivar packed: codes of a pack. :ivar parts: parts of a key.
    :ivar last_codes: codes in the last part. :ivar number_bits: bits of the number.
    """

    width: int
    packed: int
    parts: int
    last_codes: int
    number_bits: int

    @property
    def codes(self) -> int:
        """Codes in a key. Those of a word in the table are fewer, so that a longer word has a different key."""
        return 2 * self.packed * (self.parts - 1) + self.last_codes

    @property
    def packs(self) -> int:
        return 2 * self.parts

    @property
    def factors(self) -> list[int]:
        """What mixes the parts: powers of 2^64 by the golden ratio, odd, whose bits spread keys that are alike (Knuth,
        The Art of Computer Programming 3, 6.4)."""
        powers = [pow(0x9E3779B97F4A7C15, i + 1, 2**64) for i in range(self.parts)]
        return [power - 2**64 if power >= 2**63 else power for power in powers]

    @property
    def reach(self) -> int:
        """The most characters that a key can see: the first, and the codes."""
        return 1 + self.codes

    @classmethod
    def of(cls, alphabet: Alphabet) -> "WordKeys":
        packed, number_bits = alphabet.packed, alphabet.numbers.bit_length()
        last = min(2 * packed, (KEY_BITS - number_bits) // alphabet.width)
        parts = 1 + -(-(WORD_CHARACTERS - last) // (2 * packed))
        return cls(alphabet.width, packed, max(1, parts), last, number_bits)

    def key(self, alphabet: Alphabet, codes: Sequence[int]) -> tuple[int, ...]:
        """:param codes: of a word of less than ``reach`` characters."""
        step = 2 * self.packed
        parts = [pack(codes[1 + i * step : 1 + (i + 1) * step], self.width) for i in range(self.parts)]
        parts[-1] = (parts[-1] << self.number_bits) + number_of(codes[0])
        return tuple(parts)


@dataclass(frozen=True, eq=False)
class Words:
    """Whole words.

    :ivar ids: int32 [slots].
    """

    keys: WordKeys
    hash: PerfectHash
    ids: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Trie:
    """The longest piece at a place.

    Nodes are numbered: first characters at a word's begin by their number, first characters inside a word by
    ``inside`` + their number, then the others. The last number, which no character has, stands for a word's end.

    :ivar hash: keys of one part: a window of the stride's codes, and below it the node that the stride begins at.
    :ivar steps: int32 [slots], what to add to the node that the stride begins at, to come to the one it leads to.
    :ivar strides: codes of each stride, in the order in which they are tried.
    :ivar window: codes of the longest.
    :ivar node_bits: bits below the window.
    :ivar window_bits: bits of the window and what is below.
    :ivar ids: int32 [nodes], the longest piece's id; DEAD where there is none, ENDED for a word's end.
    :ivar lengths: int32 [nodes], its length in characters; NO_LENGTH where there is none.
    """

    hash: PerfectHash
    steps: npt.NDArray[np.int32]
    strides: tuple[int, ...]
    window: int
    node_bits: int
    window_bits: int
    inside: int
    ids: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]


def pack(codes: Sequence[int], width: int) -> int:
    return sum(code << (i * width) for i, code in enumerate(codes))


def read_words(alphabet: Alphabet, begins: Mapping[tuple[int, ...], int]) -> Words:
    """:param begins: ids of the pieces that begin a word, and of added tokens, by their codes."""
    keys = WordKeys.of(alphabet)
    within = {codes: token_id for codes, token_id in begins.items() if len(codes) < keys.reach}
    parts = np.array([keys.key(alphabet, codes) for codes in within], np.int64).reshape(-1, keys.parts)
    table, slots = build(parts.T, keys.factors)
    stored = np.zeros(table.slots, np.int32)
    stored[slots] = [*within.values()]
    return Words(keys, table, stored)


MOST_STRIDES = 64
"""Steps of the search for the longest piece: enough for pieces of over a hundred characters in every alphabet."""


def strides_for(longest: int, most: int) -> tuple[int, ...]:
    """Strides that reach every length up to ``longest`` when each is taken where it fits.

    >>> strides_for(17, 6)
    (6, 6, 4, 2, 1)
    """
    strides = [1]
    while sum(strides) < longest:
        strides.insert(0, min(most, 2 ** len(strides)))
    return tuple(strides)


def read_trie(
    alphabet: Alphabet, begins: Mapping[tuple[int, ...], int], insides: Mapping[tuple[int, ...], int]
) -> Trie:
    """:param begins: ids of the pieces that begin a word, by their codes. :param insides: of those inside words."""
    pieces = {(0, *codes): i for codes, i in begins.items()} | {(1, *codes): i for codes, i in insides.items()}
    longest = max((len(piece) - 1 for piece in pieces), default=1)
    most_nodes = 2 * alphabet.numbers + sum(len(piece) for piece in pieces)
    node_bits = most_nodes.bit_length()
    most = (KEY_BITS - node_bits) // alphabet.width
    strides = strides_for(longest - 1, most)
    if len(strides) > MOST_STRIDES:
        raise ValueError(f"model: a piece of {longest} characters, at most {most * MOST_STRIDES} can be found")
    edges = _edges(pieces, strides)
    count = 2 * alphabet.numbers + len(edges)
    # In no order, or keys that follow each other would be in the same places of the hash.
    numbers = 2 * alphabet.numbers + np.random.default_rng(0).permutation(len(edges))
    nodes = {path: number for (path, _), number in zip(edges, numbers.tolist(), strict=True)}
    nodes |= {path[:2]: path[0] * alphabet.numbers + number_of(path[1]) for path in pieces}
    before = [nodes[path[: -strides[i]]] for path, i in edges]
    windows = [pack(path[-strides[i] :], alphabet.width) << node_bits for path, i in edges]
    table, slots = build(np.array([windows], np.int64) + np.array(before, np.int64))
    steps = np.zeros(table.slots, np.int32)
    steps[slots] = [nodes[path] - node for (path, _), node in zip(edges, before, strict=True)]
    ids = np.full(count, DEAD, np.int32)
    lengths = np.full(count, NO_LENGTH, np.int32)
    for path, node in nodes.items():
        best = next((path[:end] for end in range(len(path), 1, -1) if path[:end] in pieces), None)
        if best is not None:
            ids[node], lengths[node] = pieces[best], len(best) - 1
    ids[2 * alphabet.numbers - 1] = ENDED
    window = max(strides)
    window_bits = window * alphabet.width + node_bits
    return Trie(table, steps, strides, window, node_bits, window_bits, alphabet.numbers, ids, lengths)


def _edges(pieces: Iterable[tuple[int, ...]], strides: Sequence[int]) -> list[tuple[tuple[int, ...], int]]:
    """The nodes that the search for each piece comes by, with the number of the stride that leads there.

    :param pieces: each 0 or 1 (inside a word) and codes.
    """
    edges: dict[tuple[int, ...], int] = {}
    for piece in pieces:
        depth = 2
        for i, stride in enumerate(strides):
            if depth + stride <= len(piece):
                depth += stride
                edges[piece[:depth]] = i
    return list(edges.items())
