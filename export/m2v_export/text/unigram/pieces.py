"""The pieces of a Unigram model: a trie that finds all at a place, their scores, and which words are one piece.

A word is what is between two ``▁``, with the first of them. The best way to cut it is the one with the greatest sum of
scores, float64 added from the left, and of equal sums the one whose last piece is longest: as `tokenizers` has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.tables.double_array import DEAD, ROOT, DoubleArray, build_double_array
from m2v_export.text.tables.normalization import loose_byte
from m2v_export.text.tables.utf8 import FIRST_CONTINUATION, FIRST_LEAD

UNKNOWN_PENALTY = 10.0
"""What an unknown character's score is below the lowest: K_UNK_PENALTY of `tokenizers`."""

NO_PIECE = 0
"""The value of a node where no piece ends. Pieces' values are their ids, and one more."""

NONE = -(2.0**60)
"""The score of no piece: it can be added to others, and stays below them."""

NEAR = 2.0**-20
"""Sums that differ by less may be in the other order after what was added up before a word. Rounding moves a sum by at
most half of its last place for each piece. So this is enough for texts of some millions of pieces."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spelling:
    """How unknown characters become bytes, where a model has byte fallback.

    Their bytes have values of their own, from ``first`` on. Characters that are in pieces, and no piece by themselves,
    have values from ``characters`` on; each of these has a row here. The last row is the unknown token's: where a text
    has it beside an unknown character, it is spelled, too.

    :ivar sizes: int32 [rows], bytes. :ivar firsts: int32 [rows], the place of the first. :ivar values: int32 [bytes].
    """

    first: int
    characters: int
    sizes: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Pieces:
    """:ivar trie: of symbols, see ``symbols_of``.
    :ivar values: int32 [nodes], of the piece that ends in each node, else NO_PIECE.
    :ivar scores: float64 [values], by value; of added tokens 0, as nothing is added up over them.
    :ivar ids: int32 [values], by value; an unknown character's is the unknown token's.
    :ivar unknown: the value of an unknown character. Those of added tokens follow.
    :ivar spelling: of unknown characters; None where they are the unknown token.
    """

    trie: DoubleArray
    values: npt.NDArray[np.int32]
    scores: Floats
    ids: npt.NDArray[np.int32]
    unknown: int
    spelling: Spelling | None = None

    @property
    def unk_id(self) -> int:
        return int(self.ids[self.unknown])


def read_pieces(
    vocabulary: Sequence[tuple[str, float]],
    unk_id: int,
    symbols: Mapping[str, int],
    most_symbols: int,
    added: Sequence[int] = (),
    byte_ids: Mapping[int, int] | None = None,
) -> Pieces:
    """:param symbols: of characters that text can have, from 1 on. Pieces with others are never met.
    :param most_symbols: symbols are less. :param added: ids of added tokens.
    :param byte_ids: of bytes, where unknown characters become those; symbols has them as ``loose_byte``.
    """
    # The last of equal pieces counts, as in `tokenizers`.
    met = {piece: i for i, (piece, _) in enumerate(vocabulary) if piece and all(c in symbols for c in piece)}
    lowest = min(score for _, score in vocabulary) - UNKNOWN_PENALTY
    scores = [NONE, *(score for _, score in vocabulary), lowest, *[0.0] * len(added)]
    ids = [-1, *range(len(vocabulary)), unk_id, *added]
    spelling = None
    if byte_ids is not None:
        loose = {loose_byte(byte): byte for byte in byte_ids}
        characters = sorted({*symbols} - {*met} - {*loose})
        spelling = _read_spelling([*characters, vocabulary[unk_id][0]], len(ids), [*byte_ids])
        met |= {c: len(ids) - 1 + i for i, c in enumerate([*loose, *characters])}
        # All that a character adds up to is at its first byte.
        scores += [0.0 if FIRST_CONTINUATION <= byte < FIRST_LEAD else lowest for byte in loose.values()]
        scores += [lowest] * len(characters)
        ids += [*byte_ids.values(), *[unk_id] * len(characters)]
    trie = build_double_array([[symbols[c] for c in piece] for piece in met], most_symbols)
    values = np.full(len(trie.bases), NO_PIECE, np.int32)
    values[trie.nodes] = np.array([*met.values()]) + 1
    return Pieces(trie, values, np.array(scores), np.array(ids, np.int32), len(vocabulary) + 1, spelling)


def _read_spelling(texts: Sequence[str], first: int, bytes_: Sequence[int]) -> Spelling:
    """:param texts: of the rows. :param first: the value of the first of some bytes."""
    value_of = {byte: first + i for i, byte in enumerate(bytes_)}
    spelled = [[value_of[byte] for byte in text.encode()] for text in texts]
    sizes = np.array([len(of) for of in spelled], np.int32)
    return Spelling(
        first,
        first + len(bytes_),
        sizes,
        (np.cumsum(sizes) - sizes).astype(np.int32),
        np.array([value for of in spelled for value in of], np.int32),
    )


def whole_words(pieces: Pieces, words: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
    """Which words are one piece, whatever was added up before them.

    :param words: pieces, in symbols.
    """
    found = np.zeros(len(words), np.bool_)
    lengths = np.array([len(word) for word in words])
    for length in np.unique(lengths):
        of_length = np.flatnonzero(lengths == length)
        for block in np.array_split(of_length, len(of_length) // WORDS_A_BLOCK + 1):
            found[block] = _are_whole(pieces, np.array([words[i] for i in block], np.int64))
    return found


WORDS_A_BLOCK = 1 << 16
"""Words of one length that are cut at once."""


def _are_whole(pieces: Pieces, words: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """:param words: int64 [W, length]. :return: bool [W]."""
    length = words.shape[1]
    best = np.full((length + 1, len(words)), NONE)
    best[0] = 0
    whole = np.full(len(words), NONE)
    for begin in range(length):
        node = np.full(len(words), ROOT, np.int64)
        for end in range(begin + 1, length + 1):
            place = pieces.trie.bases[node] + words[:, end - 1]
            node = np.where(pieces.trie.checks[place] == node, place, DEAD)
            value = pieces.values[node]
            if end == begin + 1:
                value = np.where(value == NO_PIECE, pieces.unknown, value)
            score = pieces.scores[value]
            if end - begin == length:
                whole = score
            else:
                best[end] = np.maximum(best[end], best[begin] + score)
            if not node.any():
                break
    return whole > best[length] + NEAR
