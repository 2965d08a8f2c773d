"""Short grapheme clusters, which SentencePiece's normalizer looks up as a whole; see ``tables.graphemes``."""

import numpy as np

from m2v_export.graphs.arrays import keep, later, look_up, places_where, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.code_points import code_points_at, look_up_pages
from m2v_export.text.stages.decode import is_continuation
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.stages.repair import bytes_at
from m2v_export.text.tables.alphabet import DROPPED
from m2v_export.text.tables.graphemes import (
    BREAKS,
    CHARACTER_BITS,
    CONSONANT,
    EXTENDS,
    HAS_RULE,
    IN_CONJUNCT,
    JOINS,
    LINKER,
    MOST_BYTES,
    PICTURE,
    PREPENDS,
    ZWJ,
    Graphemes,
)
from m2v_export.text.tables.utf8 import MOST_BYTES as CHARACTER_BYTES

MOST_CHARACTERS = 3
"""Of a cluster that is looked up: only ASCII has one byte, and none of it joins."""


def join_clusters(g: Graph, symbols: Value, codes: Value, is_token: Value, starts: Value, tables: Graphemes) -> Value:
    """Put what a cluster becomes where it begins, and drop the rest of it.

    :param symbols: int32 [T + PADDED], UTF-8.
    :param codes: int32 [T + PADDED]. :param is_token: bool [T + PADDED], what belongs to an added token.
    :param starts: int32 [N], the first byte of each text. :return: int32 [T + PADDED].
    """
    # With some of what is behind the last text: more than the look-ups here reach, which 1.18 could not pad.
    begins_one = ~is_continuation(symbols.slice(0, -CHARACTER_BYTES))
    at = places_where(g, begins_one)
    characters = code_points_at(g, bytes_at(g, symbols, at))
    marks = look_up_pages(g, tables.marks, characters, "grapheme_marks")
    marks = g.op("Where", keep(g, is_token.slice(0, -CHARACTER_BYTES), begins_one), np.array(BREAKS, np.int32), marks)
    is_first = g.op("ScatterElements", zeros_like(symbols), starts, zeros_like(starts) + 1)
    joined = _joined(g, marks, look_up(g, is_first, at) > 0)
    sizes = (characters >= 0x80).cast(np.int32) + (characters >= 0x800).cast(np.int32) + 1
    sizes = sizes + (characters >= 0x10000).cast(np.int32)
    total, goes_on = sizes, later(g, joined, 1)
    for i in range(1, MOST_CHARACTERS + 1):
        total = total + goes_on * later(g, sizes, i)
        goes_on = goes_on * later(g, joined, i + 1)
    begins = places_where(g, (later(g, joined, 1) > joined) & (total <= MOST_BYTES))

    def replaced(g: Graph) -> list[Value]:
        ways = [look_up(g, at, begins + i) for i in range(MOST_CHARACTERS)]
        own = look_up(g, codes, ways[0])
        third = look_up(g, joined, begins + 2)
        first, second, last = (look_up(g, characters, begins + i).cast(np.int64) for i in range(MOST_CHARACTERS))
        two = first + second * 2**CHARACTER_BITS
        three = two + last * third.cast(np.int64) * 2 ** (2 * CHARACTER_BITS)
        table, values = HashTable(g, tables.hash, "clusters", np.int64), g.constant(tables.codes, "cluster_codes")
        has_rule = g.op("BitwiseAnd", look_up(g, marks, begins), HAS_RULE) > 0
        some, become = has_rule, own
        # The shortest rule counts, so it has the last word.
        for key in (three, two):
            slots = table.slots(g, key)
            is_rule = look_up(g, table.keys, slots).equals(key)
            become = g.op("Where", is_rule & ~has_rule, look_up(g, values, slots), become)
            some = some | is_rule
        # Where there is no third character, the second is dropped twice.
        behind = g.concat([ways[1], g.op("Where", third > 0, ways[2], ways[1])])
        behind = keep(g, behind, g.concat([some, some]))
        gone = g.op("ScatterElements", codes, behind, zeros_like(behind) + DROPPED)
        return [g.op("ScatterElements", gone, keep(g, ways[0], some), keep(g, become, some))]

    return g.if_(begins.size() > 0, replaced, lambda g: [codes])[0]


def _joined(g: Graph, marks: Value, is_first: Value) -> Value:
    """Whether a character is in one cluster with the one before: rules GB3 to GB11, as far as they can matter here.

    Hangul syllables and flags need none: they have no rules of their own, and more bytes than are looked up.

    :param marks: int32 [C]. :param is_first: bool [C], whether a text begins. :return: int32 [C], 0 or 1.
    """

    def has(marks: Value, bit: int) -> Value:
        return g.op("BitwiseAnd", marks, bit) > 0

    def behind_run(bit: int, *values: Value) -> list[Value]:
        """What the last character is that is not of a run."""
        outside = ~has(marks, bit) | is_first
        last = g.op("CumSum", outside.cast(np.int32), np.array(0)).of_rank(1) - 1
        return [look_up(g, keep(g, of, outside), last) for of in values]

    before = later(g, marks, -1)
    joins = has(marks, JOINS) & ~has(before, BREAKS)
    joins = joins | (has(before, PREPENDS) & ~has(marks, BREAKS))
    (picture,) = behind_run(EXTENDS, marks)
    # A text that begins with the joiner has nothing before it.
    joiner = later(g, (has(marks, ZWJ) & ~is_first).cast(np.int32), -1) > 0
    joins = joins | (has(marks, PICTURE) & joiner & has(later(g, picture, -2), PICTURE))
    links = g.op("CumSum", has(marks, LINKER).cast(np.int32), np.array(0)).of_rank(1)
    consonant, links_before = behind_run(IN_CONJUNCT, marks, links)
    linked = has(consonant, CONSONANT) & (links > links_before)
    joins = joins | (has(marks, CONSONANT) & (later(g, linked.cast(np.int32), -1) > 0))
    return (joins & ~is_first).cast(np.int32)
