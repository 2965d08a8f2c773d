"""From piece to piece, all words together: a look-up a piece."""

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import look_up
from m2v_export.text.pieces import Pieces

MOST_PIECES = 7
"""Pieces of a word that are looked for: one missed word in some thousands has more, in English."""


def follow(
    g: Graph, pieces: Pieces, values: Value, jump: Value, firsts: Value, sizes: Value, longest_word: int
) -> tuple[Value, Value]:
    """Follow the chains of pieces of some words.

    :param values: int32 [P], of the longest piece at each place of the words, and of what separates them from the next.
    :param jump: int32 [P], the place that each leads to. :param firsts: int32 [M], each word's first place.
    :param sizes: int32 [M], its places. :param longest_word: longer words are unknown.
    :return: bool [], int32 [Q]: whether no word has more pieces, and none is unknown; the places where they begin, some
        more than once, and where words end.
    """
    # A chain that comes to the next word goes on with that one's pieces.
    reached = [firsts]
    for _ in range(MOST_PIECES):
        reached.append(look_up(g, jump, reached[-1]))
    last = reached.pop()
    # Not behind the word, and not at what separates it from the next: there are more pieces, or there is none.
    unfinished = g.op("Min", firsts + sizes - last, look_up(g, values, last))
    if MOST_PIECES * pieces.trie.longest > longest_word:
        unfinished = g.op("Max", unfinished, sizes - longest_word)
    return g.op("ReduceMax", unfinished, keepdims=0) <= 0, g.concat(reached)
