"""Put the pieces of the missed words where these words were.

Few words: values, of the words that were found and of pieces, are written where they begin in the codes, 0 where
nothing does. Many: of each word is known how many pieces it has, so that their places among the tokens are counted.
"""

from dataclasses import dataclass

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END, counted, counted_at, keep, look_up, ones, zeros_like
from m2v_export.text.places import MissedPlaces
from m2v_export.text.words import WordPlaces


def merge_at_codes(
    g: Graph, words: WordPlaces, word_values: Value, places: MissedPlaces, values: Value, text_starts: Value
) -> tuple[Value, Value]:
    """:param word_values: int32 [W + 1]. :param values: int32 [P], at all places of the missed words.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N]: values in the order of the texts, and where each text's begin.
    """
    merged = g.op("ScatterElements", zeros_like(words.codes), words.starts, word_values)
    merged = g.op("ScatterElements", merged, places.at, values)
    some = merged > 0
    return keep(g, merged, some), look_up(g, counted(g, some.cast(np.int32)), text_starts)


@dataclass(frozen=True, eq=False)
class Steps:
    """The pieces of the missed words, found round by round: first those of round 0, one for each word.

    :ivar values: int32 [Q]. :ivar words: int32 [Q], the number of the missed word. :ivar rounds: int32 [Q].
    """

    values: Value
    words: Value
    rounds: Value


def merge_at_words(
    g: Graph,
    words: WordPlaces,
    ids: Value,
    missed: Value,
    steps: Steps,
    unknown: Value,
    unk_id: int,
    text_starts: Value,
) -> tuple[Value, Value]:
    """:param ids: int32 [W + 1]. :param missed: int64 [M], which words; the last is the end.
    :param steps: with ids as values. :param unknown: int32 [M], 1 for the words that become the unknown token.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N]: ids in the order of the texts, and where each text's begin.
    """
    # Pieces after a word's first one: how many of the word's own are before.
    later = steps.rounds * look_up(g, 1 - unknown, steps.words)
    more = g.op("ScatterElements", zeros_like(unknown), steps.words, later, reduction="max")
    before = counted(g, g.op("ScatterElements", zeros_like(ids), missed, more))
    firsts = g.op("Slice", steps.values, np.array([0]), missed.size())
    firsts = g.op("Where", unknown > 0, np.array(unk_id, np.int32), firsts)
    ids = g.op("ScatterElements", ids, missed, firsts)
    is_later = later > 0
    place = look_up(g, missed.cast(np.int32) + look_up(g, before, missed), keep(g, steps.words, is_later))
    place = place + keep(g, later, is_later)
    # The word of each token: the next one behind all but later pieces, and what stands at these is replaced.
    total = before.slice(-1, END).cast(np.int64) + ids.size() - 1
    goes_on = g.op("ScatterElements", ones(g, total), place, zeros_like(place))
    tokens = look_up(g, ids, counted(g, goes_on))
    tokens = g.op("ScatterElements", tokens, place, keep(g, steps.values, is_later))
    first_words = counted_at(g, words.begins, text_starts)
    return tokens, first_words + look_up(g, before, first_words)
