"""The characters of the texts: their kinds, and where their bytes are."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import any_of, keep, later, look_up, places_of_all, places_where, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.expressions import BREAK, SPACE
from m2v_export.text.bpe.tables import BpeTables, Prefix
from m2v_export.text.stages.code_points import Decoded, code_points_at, decoded, look_up_pages
from m2v_export.text.stages.decode import is_continuation
from m2v_export.text.stages.normalize.added import with_added, without_dropped, without_marked
from m2v_export.text.stages.normalize.compose import composed
from m2v_export.text.stages.normalize.rewrite import with_forms
from m2v_export.text.stages.repair import bytes_at, made_valid
from m2v_export.text.tables.added import BEGINNING, NO_STATE
from m2v_export.text.tables.alphabet import DROPPED
from m2v_export.text.tables.pages import Pages
from m2v_export.text.tables.utf8 import (
    AFTER,
    ENDS,
    FIRST_CONTINUATION,
    FIRST_LEAD,
    FOLLOWERS,
    MOST_BYTES,
    PADDED,
    SYMBOLS,
)

SEVERAL, CANDIDATE = 1 << 16, 1 << 17
"""In the place of a kind: a byte of a character that has several; one that an added token may begin with."""

GONE = -1
"""In the place of a byte's token: its character has one."""

BLANK = ord(" ")


@dataclass(frozen=True, eq=False)
class Characters:
    """The characters of all texts, and ENDS more.

    :ivar symbols: int32 [U], the texts' bytes, in UTF-8, an added token as one.
    :ivar at: int32 [C], the first byte of each character. :ivar kinds: int32 [C].
    :ivar starts: int32 [N], the first character of each text.
    """

    symbols: Value
    at: Value
    kinds: Value
    starts: Value


def read_characters(g: Graph, symbols: Value, starts: Value, tables: BpeTables) -> Characters:
    """:param symbols: int32 [T + PADDED]. :param starts: int64 [N], the first byte of each text."""
    flags = tables.kinds[:SYMBOLS].copy()
    flags[FIRST_CONTINUATION:AFTER] = SEVERAL
    behind_blank = np.zeros(SYMBOLS, np.int32)
    for table in tables.added:
        columns = table.columns[:SYMBOLS]
        begins = table.following[BEGINNING][columns]
        # A blank is in nearly every text. What is behind it may tell that no token begins with it.
        if table.codes[begins[BLANK]] == 0:
            behind_blank |= table.following[begins[BLANK]][columns] != NO_STATE
            begins[BLANK] = NO_STATE
        flags[begins != NO_STATE] = CANDIDATE
    kinds = look_up(g, g.constant(flags, "kind_of_byte"), symbols)
    starts = starts.cast(np.int32)

    def plain(g: Graph) -> list[Value]:
        if tables.prefix is None:
            return [symbols, places_of_all(g, symbols), kinds, starts]
        longer, begins = _with_blanks(g, symbols, starts, tables.prefix)
        return [longer, places_of_all(g, longer), look_up(g, g.constant(flags, "kind_of_byte"), longer), begins]

    def careful(g: Graph) -> list[Value]:
        return _with_care(g, symbols, starts, tables)

    is_plain = g.op("ReduceMax", kinds, keepdims=0) < SEVERAL
    if behind_blank.any():
        second = look_up(g, g.constant(behind_blank, "behind_blank"), later(g, symbols, 1))
        is_plain = is_plain & ~any_of(g, symbols.equals(BLANK) & (second > 0))
    symbols, at, kinds, starts = g.if_(is_plain, plain, careful)
    behind = ENDS - PADDED
    return Characters(symbols, at.slice(0, behind), kinds.slice(0, behind), starts)


def _with_care(g: Graph, symbols: Value, starts: Value, tables: BpeTables) -> list[Value]:
    """As ``read_characters``, for texts that are not plain ASCII."""
    symbols, starts = made_valid(g, symbols, starts)
    for i, table in enumerate(tables.added):
        symbols, starts = with_added(g, symbols, starts, table)
        if i == 0 and tables.strips.any():
            symbols, starts = _stripped(g, symbols, starts, tables)
    if tables.forms is not None:
        symbols, starts = with_forms(g, symbols, starts, tables.forms)
    if tables.prefix is not None:
        symbols, starts = _with_blanks(g, symbols, starts, tables.prefix)
    text = decoded(g, symbols, starts)
    if tables.composition is not None:
        # As good as before the blanks: these are in no pair, and nothing becomes one.
        symbols, text = composed(g, symbols, text, tables.composition)
    return [symbols, text.at, _kinds_of(g, text, tables), text.starts]


def _kinds_of(g: Graph, text: Decoded, tables: BpeTables) -> Value:
    """:return: int32 [C]."""
    kinds = look_up(g, g.constant(tables.kinds, "kind_of_symbol"), text.own)
    of_several = look_up_pages(g, tables.kinds_of_code_point, text.code_points, "kind_of_code_point")
    return g.op("ScatterElements", kinds, text.several, of_several).sized_as(text.own)


def _stripped(g: Graph, symbols: Value, starts: Value, tables: BpeTables) -> tuple[Value, Value]:
    """Take away the white space that added tokens do not want beside them.

    :param symbols: int32 [T + PADDED]. :param starts: int32 [N]. :return: int32 [U + PADDED], int32 [N].
    """

    strips = g.constant(tables.strips.reshape(-1), "strips")

    def strip(g: Graph) -> list[Value]:
        text = decoded(g, symbols, starts)
        kinds = _kinds_of(g, text, tables)
        is_space = (kinds.equals(SPACE) | kinds.equals(BREAK)).cast(np.int32)
        begins_text = g.op("ScatterElements", zeros_like(is_space), text.starts, zeros_like(text.starts) + 1)
        goes_on = is_space * previous(g, is_space) * (1 - begins_text)
        begins = is_space - goes_on
        firsts, behind = places_where(g, begins > 0), places_where(g, (is_space - later(g, goes_on, 1)) > 0) + 1
        ways = [
            look_up(g, strips, look_up(g, text.own, at) + row * len(tables.kinds)) * (1 - look_up(g, begins_text, of))
            for row, at, of in ((0, behind, behind), (1, firsts - 1, firsts))
        ]
        is_gone = g.concat([np.array([0], np.int32), g.op("Max", *ways)])
        gone = is_space * look_up(g, is_gone, g.op("CumSum", begins, np.array(0)).of_rank(1))
        of_byte = g.op("CumSum", (~is_continuation(symbols)).cast(np.int32), np.array(0)).of_rank(1) - 1
        marked = g.op("Where", look_up(g, gone, of_byte) > 0, np.array(DROPPED, np.int32), symbols)
        return list(without_marked(g, starts, marked))

    some = any_of(g, look_up(g, g.constant(tables.strips.max(axis=0), "strip"), symbols) > 0)
    symbols, starts = g.if_(some, strip, lambda g: [symbols, starts])
    return symbols, starts


def _with_blanks(g: Graph, symbols: Value, starts: Value, prefix: Prefix) -> tuple[Value, Value]:
    """Put a blank before each text, and behind each added token, where there is something.

    :param symbols: int32 [T + PADDED]. :param starts: int32 [N]. :return: int32 [U + PADDED], int32 [N].
    """
    begins = g.op("ScatterElements", symbols - symbols, starts, starts - starts + 1)
    if prefix.behind_added:
        begins = begins + g.op("Pad", (symbols >= SYMBOLS).cast(np.int32), np.array([1, -1])).sized_as(symbols)
    lacks = (begins > 0) & (symbols < AFTER)
    if not prefix.before_blanks:
        lacks = lacks & ~symbols.equals(BLANK)
    column = g.op("Where", lacks, np.array(BLANK, np.int32), np.array(DROPPED, np.int32))
    grid = g.concat([column.unsqueeze(1), symbols.unsqueeze(1)], axis=1).reshape(-1)
    return without_dropped(g, grid, starts * 2)


def with_characters(g: Graph, symbols: Value, tokens: Value, words: Value, pages: Pages) -> tuple[Value, Value]:
    """Put one token in place of those of its bytes for each character that has one.

    :param symbols: int32 [P], bytes of some words. :param tokens: int32 [P], of these. :param words: int32 [P].
    :param pages: the token of each code point, less than 0 for none.
    :return: int32 [Q], int32 [Q]: tokens, and their words.
    """
    leads = places_where(g, (symbols >= FIRST_LEAD) & (symbols < AFTER))

    def put(g: Graph) -> list[Value]:
        bytes_ = bytes_at(g, g.concat([symbols, np.full(MOST_BYTES, AFTER, np.int32)]), leads)
        token = look_up_pages(g, pages, code_points_at(g, bytes_), "token_of_code_point")
        known = token >= 0
        behind = look_up(g, g.constant(FOLLOWERS, "followers"), keep(g, look_up(g, symbols, leads), known))
        # What has fewer bytes than there can be is written several times.
        behind = g.op("Min", behind, np.arange(MOST_BYTES, dtype=np.int32)[:, None])
        values = g.op("Where", behind > 0, np.array(GONE, np.int32), keep(g, token, known)).reshape(-1)
        put = g.op("ScatterElements", tokens, (keep(g, leads, known) + behind).reshape(-1), values).sized_as(tokens)
        kept = put > GONE
        return [keep(g, put, kept), keep(g, words, kept)]

    tokens, words = g.if_(leads.size() > 0, put, lambda g: [tokens, words])
    return tokens, words
