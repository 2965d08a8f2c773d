"""The words that are no pieces themselves: the longest piece from the left, then the longest of what is left.

Many words go one piece a round, all together (``rounds``). Few are searched at all their characters at once, and then
the chains of pieces are followed (``chains``); so is a word of too many characters for rounds. A word where a chain
comes to a place without a piece is unknown as a whole.
"""

import numpy as np

from m2v_export.graphs.arrays import look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.words import WordPlaces, is_part
from m2v_export.text.wordpiece.pieces.chains import match_by_chains
from m2v_export.text.wordpiece.pieces.rounds import match_in_rounds
from m2v_export.text.wordpiece.pieces.search import Pieces

FEW_WORDS = 200
"""Up to so many words it is faster to search at all their characters at once than piece by piece."""

LONGEST_IN_ROUNDS = 128
"""Characters of a word that has few enough pieces to go piece by piece."""


def match_pieces(
    g: Graph,
    pieces: Pieces,
    words: WordPlaces,
    whole: Value,
    unfound: Value,
    text_starts: Value,
    longest_word: int,
) -> tuple[Value, Value, Value]:
    """Put the pieces of some words in the place of these words.

    :param whole: int32 [W + 1], of the others, see ``WholeWords.find``. :param unfound: int64 [M], M > 0, which words,
        ascending; the last is the end.
    :param text_starts: int32 [N], where each text begins in the codes.
    :param longest_word: longer words are unknown.
    :return: int32 [T], int32 [N], bool []: ids, where each text's begin, and whether a word is unknown.
    """
    starts, gaps = look_up(g, words.starts, unfound), look_up(g, words.gaps, unfound)
    # Of a word that is too long as many places as tell that.
    sizes = g.op("Min", gaps, np.array([longest_word + 1], np.int32))

    def too_long(g: Graph) -> Value:
        last = look_up(g, words.nodes, starts + g.op("Min", gaps - 1, np.array([longest_word], np.int32)))
        return ((gaps > longest_word) & is_part(g, last, pieces.alphabet)).cast(np.int32)

    def many(g: Graph) -> list[Value]:
        return list(match_in_rounds(g, pieces, words, pieces.ids(whole), unfound, starts, too_long(g), text_starts))

    def few(g: Graph) -> list[Value]:
        return list(match_by_chains(g, pieces, words, whole, starts, sizes, too_long, longest_word, text_starts))

    are_many = g.op("Size", unfound) > FEW_WORDS
    if longest_word >= LONGEST_IN_ROUNDS:
        are_many = are_many & (g.op("ReduceMax", sizes, keepdims=0) <= LONGEST_IN_ROUNDS)
    ids, tokens, has_unknown = g.if_(are_many, many, few)
    return ids, tokens, has_unknown
