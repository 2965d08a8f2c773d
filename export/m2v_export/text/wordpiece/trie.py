"""The longest piece at a place, as tables.

Narrow codes are packed, the first in the lowest bits. A word's key is the code of its first character and packs of what
follows. Words that are not found whole are matched piece by piece, in a trie whose edges are *windows* found by
hashing: runs of narrow codes in one int64. Pieces are at the end of a window of up to so many codes, longer ones behind
nodes that a full window leads to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.alphabet import SEPARATOR, Alphabet
from m2v_export.text.tables.hashing import PerfectHash, build_by_remainders
from m2v_export.text.tables.words import pack

ENDED, DEAD = 0, 1
"""Values of a place: nothing is to be found there; no piece begins there, so the word is unknown."""

NODE = 1 << 30
"""The value of what a full window leads to: NODE and the node's number, more than the value of every piece."""

MOST_WINDOWS = 256
"""Steps of the search for the longest piece: enough for pieces of some hundred characters in every alphabet."""


@dataclass(frozen=True, eq=False)
class Trie:
    """The longest piece at a place.

    The nodes of first characters are numbered as in ``Alphabet``, then come the others, and last, as a separator's code
    is -1, what stands for a separator.

    A piece's value is its length in characters, and below its id: of two at a place, the longer one's is greater.

    :ivar hash: keys of one part: a window, and below it the node that it begins at.
    :ivar values: int32 [slots], of the piece, or of the node that a full window leads to.
    :ivar node_values: int32 [nodes], of the longest piece on the way to a node; DEAD for none, ENDED for an end.
    :ivar window: codes of a full window.
    :ivar node_bits: bits below the window.
    :ivar id_bits: bits of an id in a value, and of a node's number.
    :ivar windows: the most windows of a piece.
    :ivar longest: the most characters of a piece.
    """

    hash: PerfectHash
    values: npt.NDArray[np.int32]
    node_values: npt.NDArray[np.int32]
    window: int
    node_bits: int
    id_bits: int
    windows: int
    longest: int

    @property
    def character(self) -> int:
        """What a character of a piece counts in its value."""
        return 1 << self.id_bits


def read_trie(
    alphabet: Alphabet,
    begins: Mapping[tuple[int, ...], int],
    insides: Mapping[tuple[int, ...], int],
    highest_id: int,
) -> Trie:
    """:param begins: ids of the pieces that begin a word, by their codes. :param insides: of those inside words.
    :param highest_id: of all tokens, those of whole words and added ones too, which stand among the pieces' values.

    :raises UnsupportedTokenizer: when the pieces' lengths or ids are too great.
    """
    pieces = {(1, *codes): i for codes, i in begins.items()} | {(0, *codes): i for codes, i in insides.items()}
    roots = alphabet.nodes
    # The longest window that leaves room for the nodes, which are fewer the longer it is.
    for window in range(KEY_BITS // alphabet.width, 0, -1):
        # The ways to the nodes from which pieces go on: 1 at a word's begin, the first character, full windows.
        ways = {piece[:end] for piece in pieces for end in range(2 + window, len(piece), window)}
        # One node more, or a separator's, -1, would be one of the others in a window's lowest bits.
        node_bits = (roots + len(ways)).bit_length()
        if window * alphabet.width + node_bits <= KEY_BITS:
            break
    # In no order, or keys that follow each other would be in the same places of the hash.
    numbers = roots + np.random.default_rng(0).permutation(len(ways))
    nodes: dict[tuple[int, ...], int] = dict(zip(sorted(ways), numbers.tolist(), strict=True))
    nodes |= {path[:2]: path[0] * alphabet.isolated + path[1] for path in pieces}
    longest = max(map(len, pieces), default=1) - 1
    # A node's number has no length, either.
    id_bits = max(node_bits, highest_id.bit_length())
    windows = -(-(longest - 1) // window)
    if windows > MOST_WINDOWS:
        raise UnsupportedTokenizer(
            f"model: a piece of {longest} characters, at most {window * MOST_WINDOWS} can be found"
        )
    if longest << id_bits >= NODE:
        raise UnsupportedTokenizer(
            f"model: a piece of {longest} characters, at most {(NODE >> id_bits) - 1} can be told"
        )

    def value(piece: tuple[int, ...]) -> int:
        return (len(piece) - 1 << id_bits) + pieces[piece]

    def edge(path: tuple[int, ...]) -> int:
        before = 2 + (len(path) - 3) // window * window
        return (pack(path[before:], alphabet.width) << node_bits) + nodes[path[:before]]

    leads = {edge(path): value(path) for path in pieces if len(path) > 2}
    leads |= {edge(path): NODE + nodes[path] for path in ways}
    keys = np.array([*leads], np.int64)
    table, slots = build_by_remainders(keys, keys)
    values = np.full(table.slots, ENDED, np.int32)
    values[slots] = [*leads.values()]
    node_values = np.full(roots + len(ways) + 1, DEAD, np.int32)
    for path, node in nodes.items():
        best = next((path[:end] for end in range(len(path), 1, -1) if path[:end] in pieces), None)
        if best is not None:
            node_values[node] = value(best)
    # What is a word of its own begins one behind another word's character too, which ends nothing.
    alone = np.arange(3 * alphabet.isolated, alphabet.size)
    node_values[[alphabet.end + alphabet.isolated, alphabet.isolated - 1, SEPARATOR]] = ENDED
    node_values[alone] = node_values[alone + alphabet.isolated]
    return Trie(table, values, node_values, window, node_bits, id_bits, windows, longest)


KEY_BITS = 63
"""Bits of a window and the node that it begins at: an int64 that is not negative."""
