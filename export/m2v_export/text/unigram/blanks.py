"""Blanks that a text has itself, where the normalizer leaves them.

A blank stands for a space, and begins a word. So does one of the text: ``a▁b`` are the words ``▁a`` and ``▁b``. In the
codes it is a word of its own. Cut into pieces it is two blanks, one before each word, of which none, one or both count.
"""

import numpy as np

from m2v_export.graphs.arrays import any_of, later, look_up, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.words import WordPlaces
from m2v_export.text.tables.alphabet import SEPARATOR
from m2v_export.text.unigram.tables import LiteralBlank


def blanks_of(g: Graph, words: WordPlaces, unfound: Value, first_words: Value, literal: LiteralBlank) -> Value:
    """:param unfound: int64 [M], some words, with all that are blanks. :param first_words: int32 [N], of each text.
    :return: int32 [M], how many tokens of each count: 0 to 2 of blanks, ALL of others.
    """
    first = look_up(g, words.codes, words.starts)
    is_blank = first.equals(literal.code)

    def counted(g: Graph) -> list[Value]:
        begins_text = g.op("ScatterElements", zeros_like(first), first_words, zeros_like(first_words) + 1)
        # The word right behind it, whose blank it is then.
        is_word = ((first >= 0) & (first < literal.isolated)).cast(np.int32) * (1 - begins_text)
        has_word = words.gaps.equals(1).cast(np.int32) * later(g, is_word, 1)
        counts = 1 - has_word
        if literal.spaces_count:
            # A space before it, but at the begin of what is normalized as a whole.
            before = look_up(g, words.codes, words.starts - 1)
            is_space = before.equals(SEPARATOR) | ((before > literal.isolated) & ~before.equals(literal.code))
            behind_added = later(g, (first >= literal.first_added).cast(np.int32), -1)
            counts = counts + is_space.cast(np.int32) * (1 - begins_text) * (1 - behind_added)
        return [g.op("Where", is_blank, counts, np.array(ALL, np.int32))]

    def none(g: Graph) -> list[Value]:
        return [zeros_like(first) + ALL]

    return look_up(g, g.if_(any_of(g, is_blank), counted, none)[0], unfound)


ALL = 1 << 30
"""More tokens than a word has."""
