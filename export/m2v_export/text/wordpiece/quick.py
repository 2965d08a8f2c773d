"""Small batches of plain ASCII: the same stages in fewer operations.

Where there is little to do most of the time goes into starting operations. Here they are as few as can be: nothing is
cut or truncated; what follows a character is looked up code by code; and the pieces of all words that were not found
whole are searched at once. What turns out to need more, a character of several bytes, an unknown word, one of many
pieces or of a very long one, is left to the thorough way.
"""

import numpy as np

from m2v_export.graphs.arrays import END, counted, keep, look_up, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.normalize.codes import flagged_codes
from m2v_export.text.stages.words import begin_at, narrow_codes, nodes_of, whole_ids
from m2v_export.text.tables.alphabet import DROPPED
from m2v_export.text.tables.normalization import Normalization
from m2v_export.text.tables.utf8 import PADDED
from m2v_export.text.wordpiece.pieces.chains import follow
from m2v_export.text.wordpiece.pieces.merge import merge_at_codes
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.whole import WholeWords

QUICK_BYTES = 4096
"""Bytes up to which it is quicker."""


def quick_ids(
    g: Graph,
    utf8: Value,
    offsets: Value,
    normalization: Normalization,
    whole_words: WholeWords,
    pieces: Pieces,
    longest_word: int,
    most_bytes: int,
) -> list[Value]:
    """Texts to token ids, if they are few and simple enough.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :param longest_word: longer words are unknown. :param most_bytes: at most ``QUICK_BYTES``.
    :return: bool [], int32 [T'], int32 [N]: whether they were; if so, ids, and where each text's begin.
    """
    alphabet = normalization.alphabet
    # Of more bytes only these are looked at, in vain: another If around it all would take longer.
    codes = flagged_codes(g, decode(g, g.op("Slice", utf8, np.array([0]), np.array([most_bytes]))), normalization)
    is_simple = (g.op("ReduceMax", codes, keepdims=0) < DROPPED) & (g.op("Size", utf8) <= most_bytes)

    def simple(g: Graph) -> list[Value]:
        with g.stage("normalize"):
            text_starts = offsets.cast(np.int32)
            nodes = nodes_of(g, codes, text_starts, alphabet)
            all_places = g.op("Slice", np.arange(QUICK_BYTES + PADDED, dtype=np.int32), np.array([0]), nodes.size())
            places = keep(g, all_places, begin_at(nodes, alphabet))
        with g.stage("words"):
            narrow = narrow_codes(g, nodes, alphabet)
            starts = places.slice(0, -1)
            ends = places.slice(1, END).sized_as(starts)
            whole, differs = whole_words.find_by_codes(g, codes, narrow, starts, ends)
            unfound = positions(g, differs)

        def matched(g: Graph) -> list[Value]:
            # The characters of these words, and what separates them from the next.
            number = g.op("CumSum", begin_at(nodes, alphabet).cast(np.int32), np.array(0)).of_rank(1)
            is_unfound = look_up(g, g.op("Pad", differs, np.array([1, 1])), number).cast(np.bool_)
            at = keep(g, all_places, is_unfound)
            here = g.op("Slice", all_places, np.array([0]), at.size())
            values = pieces.longest_of_two(g, pieces.by_codes(narrow), at, look_up(g, nodes, at), here)
            jump = here + pieces.length(values)
            sizes = look_up(g, ends - starts, unfound)
            done, reached = follow(g, pieces, values, jump, counted(g, sizes), sizes, longest_word)
            at, values = look_up(g, at, reached), look_up(g, values, reached)
            values, tokens = merge_at_codes(g, codes, starts, whole, at, values, text_starts)
            return [done, pieces.ids(values), tokens]

        def all_found(g: Graph) -> list[Value]:
            return [is_simple, *whole_ids(g, pieces.ids(whole), nodes, text_starts, alphabet)]

        with g.stage("pieces"):
            return g.if_(g.op("Size", unfound) > 1, matched, all_found)

    def nothing(g: Graph) -> list[Value]:
        none = offsets.slice(0, 0).cast(np.int32)
        return [is_simple, none, none]

    return g.if_(is_simple, simple, nothing)
