"""Whole words and the longest piece at a place, as one table.

Narrow codes are packed, the first in the lowest bits. Pieces are found in a trie whose edges are *windows* found by
hashing: runs of narrow codes in one int64. Pieces are at the end of a window of up to so many codes, longer ones behind
nodes that a full window leads to.

A word that has no more than a window is found whole by the same key as the piece that it is. What a longer one has in
the window does not tell it from others: it has a slot of its own, and in its value the number of its *tail*, which is
all that follows, from the last code of the window on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.alphabet import SEPARATOR, Alphabet
from m2v_export.text.tables.hashing import PerfectHash, Remainders, Spread, first_built
from m2v_export.text.tables.words import WORD_CHARACTERS, pack

ENDED, DEAD = 0, 1
"""Values of a place: nothing is to be found there; no piece begins there, so the word is unknown."""

HIGHEST = 1 << 31
"""Values are less."""

MOST_WINDOWS = 256
"""Steps of the search for the longest piece: enough for pieces of some hundred characters in every alphabet."""


@dataclass(frozen=True)
class WholeKeys:
    """What tells a whole word: its first code, the window behind it, and tails from the window's last code on. So a
    word has tails if it has more codes than a window.

    :ivar width: bits of a narrow code. :ivar packed: narrow codes of an int32. :ivar window: codes of a window.
    :ivar tail: codes of a tail, as many as full int32s of them fit into an int64. :ivar tails: of a word.
    """

    width: int
    packed: int
    window: int
    tail: int
    tails: int

    @classmethod
    def of(cls, alphabet: Alphabet, window: int, characters: int) -> "WholeKeys":
        tail = KEY_BITS // alphabet.width // alphabet.packed * alphabet.packed
        return cls(alphabet.width, alphabet.packed, window, tail, max(1, -(-(characters - window) // tail)))

    @property
    def reach(self) -> int:
        """The most characters that a key can see. Words in the table have fewer, so that a longer one's key differs."""
        return self.window + self.tails * self.tail

    def spans(self) -> list[range]:
        """:return: which of a word's codes are in the window, and in each tail."""
        begins = range(self.window, self.reach, self.tail)
        return [range(1, 1 + self.window), *(range(begin, begin + self.tail) for begin in begins)]

    def tails_of(self, codes: tuple[int, ...]) -> tuple[int, ...]:
        """:param codes: of a word of less than ``reach`` characters."""
        return tuple(pack(codes[span.start : span.stop], self.width) for span in self.spans()[1:])


@dataclass(frozen=True, eq=False)
class Whole:
    """What whole words have in the table beside their slots.

    :ivar factors: int64 [tails], what a word's tails are multiplied by and added to its key: so it is hashed.
    :ivar tails: int64 [tails, numbers], by their number. Those up to the highest of a word without tails are 0.
    :ivar numbers: int32 [slots], where they do not fit into the values; else None.
    """

    keys: WholeKeys
    factors: npt.NDArray[np.int64]
    tails: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int32] | None


@dataclass(frozen=True, eq=False)
class Trie:
    """The longest piece at a place, and whole words.

    The nodes of first characters are numbered as in ``Alphabet``, then come the others, and last, as a separator's code
    is -1, what stands for a separator.

    A piece's value is its length in characters, and below its id: of two at a place, the longer one's is greater.

    :ivar hash: keys of one part: a window, and below it the node that it begins at.
    :ivar values: int32 [slots], of the piece, or of the node that a full window leads to; of a word that has tails its
        id, and above it their number.
    :ivar node_values: int32 [nodes], of the longest piece on the way to a node; DEAD for none, ENDED for an end.
    :ivar window: codes of a full window.
    :ivar node_bits: bits below the window.
    :ivar id_bits: bits of an id in a value, and of a node's number.
    :ivar windows: the most windows of a piece.
    :ivar longest: the most characters of a piece.
    :ivar whole: whole words.
    """

    hash: PerfectHash
    values: npt.NDArray[np.int32]
    node_values: npt.NDArray[np.int32]
    window: int
    node_bits: int
    id_bits: int
    windows: int
    longest: int
    whole: Whole

    @property
    def character(self) -> int:
        """What a character of a piece counts in its value."""
        return 1 << self.id_bits

    @property
    def node(self) -> int:
        """What a full window leads to has this and the node's number as its value: more than every piece."""
        return self.character << self.longest.bit_length()


def read_trie(
    alphabet: Alphabet,
    begins: Mapping[tuple[int, ...], int],
    insides: Mapping[tuple[int, ...], int],
    words: Mapping[tuple[int, ...], int],
    characters: int = WORD_CHARACTERS,
) -> Trie:
    """:param begins: ids of the pieces that begin a word, by their codes. :param insides: of those inside words.
    :param words: of whole words, which are all pieces that begin a word, and others of one code.
    :param characters: longer words need not be found whole.

    :raises UnsupportedTokenizer: when the pieces' lengths or ids are too great.
    """
    roots = alphabet.nodes
    # The longest window that leaves room for the nodes, which are fewer the longer it is.
    for window in range(KEY_BITS // alphabet.width, 0, -1):
        keys = WholeKeys.of(alphabet, window, characters)
        # Without pieces inside words only those are searched for that are too long to be found whole.
        searched = [codes for codes in begins if insides or not window < len(codes) < keys.reach]
        pieces = {(1, *codes): begins[codes] for codes in searched} | {(0, *codes): i for codes, i in insides.items()}
        # The ways to the nodes from which pieces go on: 1 at a word's begin, the first character, full windows.
        ways = {piece[:end] for piece in pieces for end in range(2 + window, len(piece), window)}
        # One node more, or a separator's, -1, would be one of the others in a window's lowest bits.
        node_bits = (roots + len(ways)).bit_length()
        if window * alphabet.width + node_bits <= KEY_BITS:
            break
    # In no order, or keys that follow each other would be in the same places of the hash.
    in_no_order = roots + np.random.default_rng(0).permutation(len(ways))
    nodes: dict[tuple[int, ...], int] = dict(zip(sorted(ways), in_no_order.tolist(), strict=True))
    nodes |= {path[:2]: path[0] * alphabet.isolated + path[1] for path in [*pieces, *((1, *word) for word in words)]}
    longest = max(map(len, pieces), default=1) - 1
    # Those of whole words and added tokens, too. A node's number has no length, either.
    id_bits = max(node_bits, max([*words.values(), *insides.values()], default=0).bit_length())
    windows = -(-(longest - 1) // window)
    if windows > MOST_WINDOWS:
        raise UnsupportedTokenizer(
            f"model: a piece of {longest} characters, at most {window * MOST_WINDOWS} can be found"
        )
    node = 1 << id_bits + longest.bit_length()
    if 2 * node > HIGHEST:
        raise UnsupportedTokenizer(
            f"model: a piece of {longest} characters, at most {(HIGHEST >> id_bits + 1) - 1} can be told"
        )

    def value(piece: tuple[int, ...]) -> int:
        return (len(piece) - 1 << id_bits) + pieces[piece]

    def edge(path: tuple[int, ...]) -> int:
        before = 2 + max(0, len(path) - 3) // window * window
        return (pack(path[before:], alphabet.width) << node_bits) + nodes[path[:before]]

    long = [word for word in words if window < len(word) < keys.reach]
    # What long words have in the window must be a key, or a search for it might find one of these words' own slots.
    leads = {edge((1, *word[: 1 + window])): ENDED for word in long}
    leads |= {edge((1, *word)): (1 << id_bits) + i for word, i in words.items() if len(word) == 1}
    leads |= {edge(path): value(path) for path in pieces if len(path) > 2}
    leads |= {edge(path): node + nodes[path] for path in ways}
    tails = {of: i for i, of in enumerate(sorted({keys.tails_of(word) for word in long}))}
    first_tail = (node >> id_bits) + 1
    in_values = first_tail + len(tails) << id_bits <= HIGHEST
    parts = np.array([*leads, *(edge((1, *word[: 1 + window])) for word in long)], np.int64)
    of_words = np.array([*([(0,) * keys.tails] * len(leads)), *map(keys.tails_of, long)], np.int64)
    factors, table, slots = first_built(parts[None], _hashes(parts, of_words.reshape(-1, keys.tails)))
    numbered = [first_tail + tails[keys.tails_of(word)] for word in long]
    values = np.full(table.slots, ENDED, np.int32)
    values[slots] = [
        *leads.values(),
        *((n * in_values << id_bits) + words[w] for n, w in zip(numbered, long, strict=True)),
    ]
    numbers = None
    if not in_values:
        numbers = np.zeros(table.slots, np.int32)
        numbers[slots[len(leads) :]] = numbered
    by_number = np.zeros((keys.tails, first_tail + len(tails)), np.int64)
    by_number[:, first_tail:] = np.array([*tails], np.int64).reshape(-1, keys.tails).T
    node_values = np.full(roots + len(ways) + 1, DEAD, np.int32)
    for path, number in nodes.items():
        best = next((path[:end] for end in range(len(path), 1, -1) if path[:end] in pieces), None)
        if best is not None:
            node_values[number] = value(best)
    # What is a word of its own begins one behind another word's character too, which ends nothing.
    alone = np.arange(3 * alphabet.isolated, alphabet.size)
    node_values[[alphabet.end + alphabet.isolated, alphabet.isolated - 1, SEPARATOR]] = ENDED
    node_values[alone] = node_values[alone + alphabet.isolated]
    whole = Whole(keys, factors, by_number, numbers)
    return Trie(table, values, node_values, window, node_bits, id_bits, windows, longest, whole)


def _hashes(
    keys: npt.NDArray[np.int64], tails: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Spread]]:
    """Ways to hash, for ``first_built``: keys as they are, but for words with tails.

    :param keys: int64 [n]. :param tails: int64 [n, tails].
    """
    rng = np.random.default_rng(0)
    for spread in Remainders.tries(len(keys)):
        # Odd, or the product would lose a bit.
        factors = np.array(rng.integers(-(2**62), 2**62, tails.shape[1]) * 2 + 1, np.int64)
        yield factors, keys + tails @ factors, spread


KEY_BITS = 63
"""Bits of a window and the node that it begins at, or of a tail: an int64 that is not negative."""
