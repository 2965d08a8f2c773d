"""Few words, of any length: search at all their characters, then follow the chains of pieces: from one to the next
where these are few, else doubling the distance."""

from collections.abc import Callable

import numpy as np

from m2v_export.graphs.arrays import doubled, look_up, reachable, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters, characters_of
from m2v_export.text.stages.words import WordPlaces
from m2v_export.text.wordpiece.pieces.merge import merge_at_codes
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.trie import DEAD

SHORT_WORD = 32
"""Characters of a word whose pieces SHORT_ROUNDS reach."""

SHORT_ROUNDS = 5
"""Rounds of doubling the distance."""


def match_by_chains(
    g: Graph,
    pieces: Pieces,
    words: WordPlaces,
    whole: Value,
    starts: Value,
    sizes: Value,
    too_long: Callable[[Graph], Value],
    longest_word: int,
    text_starts: Value,
) -> tuple[Value, Value, Value]:
    """Put the pieces of some words in the place of these words.

    :param whole: int32 [W + 1], of the others, see ``WholeWords.find``.
    :param starts: int32 [M], M > 0, each word's place in the codes, ascending; the last is the end.
    :param sizes: int32 [M], places of each of these words; of one that is too long not all are needed.
    :param too_long: int32 [M], 1 for words that are unknown for their length. :param longest_word: its characters.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N], bool []: ids, where each text's begin, and whether a word is unknown.
    """
    places = characters_of(g, starts, sizes)
    values = pieces.longest(g, pieces.by_packs(words.packs), places.at, look_up(g, words.nodes, places.at))
    # Of a word that is cut the last piece may reach further.
    jump = places.here + g.op("Min", pieces.length(values), places.left)
    done, reached = follow(g, pieces, values, jump, places.firsts, sizes, longest_word)

    def followed(g: Graph) -> list[Value]:
        return [look_up(g, places.at, reached), look_up(g, values, reached), ~done]

    def doubling(g: Graph) -> list[Value]:
        marks, further = doubled(g, places.begins, jump, SHORT_ROUNDS)

        def longer(g: Graph) -> list[Value]:
            return [reachable(g, marks, further), too_long(g)]

        if longest_word < SHORT_WORD:
            marks, unknown = longer(g)
        else:
            is_short = g.op("ReduceMax", sizes, keepdims=0) <= SHORT_WORD
            marks, unknown = g.if_(is_short, lambda g: [marks, zeros_like(sizes)], longer)
        emitted, unknown = emit(g, pieces, places, values * marks, unknown)
        return [places.at, emitted, g.op("ReduceMax", unknown, keepdims=0) > 0]

    at, emitted, has_unknown = g.if_(done, followed, doubling)
    merged, tokens = merge_at_codes(g, words.codes, words.starts, whole, at, emitted, text_starts)
    return pieces.ids(merged), tokens, has_unknown


def emit(g: Graph, pieces: Pieces, places: WordCharacters, values: Value, unknown: Value) -> tuple[Value, Value]:
    """A word whose chain is broken becomes the unknown token, at its first place.

    :param values: int32 [P], where chains come by, else 0. :param unknown: int32 [M], 1 for what is unknown anyway.
    :return: int32 [P], int32 [M]: values of pieces, else 0; and 1 for what is unknown.
    """
    dead = values.equals(DEAD).cast(np.int32)
    unknown = g.op("ScatterElements", unknown, places.word, dead, reduction="max")
    values = values * look_up(g, 1 - unknown, places.word)
    values = g.op("ScatterElements", values, places.firsts, unknown * pieces.value(pieces.unk_id), reduction="max")
    return values, unknown


MOST_PIECES = 7
"""Pieces of a word that are looked for: one unfound word in some thousands has more, in English."""


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
