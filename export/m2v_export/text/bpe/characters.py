"""The characters of the texts: their kinds, and where their bytes are."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import any_of, look_up, places_of_all, places_where
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.tables import BpeTables
from m2v_export.text.stages.code_points import decoded, look_up_pages
from m2v_export.text.stages.decode import is_continuation
from m2v_export.text.stages.normalize.added import mark_added
from m2v_export.text.stages.normalize.codes import without_dropped
from m2v_export.text.stages.normalize.compose import composed
from m2v_export.text.stages.repair import bytes_at, followers, is_sound, none_stray, replace_invalid
from m2v_export.text.tables.added import BEGINNING, NO_STATE
from m2v_export.text.tables.alphabet import DROPPED
from m2v_export.text.tables.utf8 import AFTER, ENDS, FIRST_CONTINUATION, FIRST_LEAD, PADDED, SYMBOLS

SEVERAL, CANDIDATE = 16, 17
"""In the place of a kind: a byte of a character that has several; one that an added token may begin with."""

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
    if tables.added is not None:
        flags[tables.added.following[BEGINNING][tables.added.columns] != NO_STATE] = CANDIDATE
    kinds = look_up(g, g.constant(flags, "kind_of_byte"), symbols)
    starts = starts.cast(np.int32)

    def plain(g: Graph) -> list[Value]:
        return [symbols, places_of_all(g, symbols), kinds, starts]

    def careful(g: Graph) -> list[Value]:
        return _with_care(g, symbols, starts, tables)

    if tables.prefix:
        # No text is plain: a blank may have to go before it.
        symbols, at, kinds, starts = careful(g)
    else:
        symbols, at, kinds, starts = g.if_(g.op("ReduceMax", kinds, keepdims=0) < SEVERAL, plain, careful)
    behind = ENDS - PADDED
    return Characters(symbols, at.slice(0, behind), kinds.slice(0, behind), starts)


def _with_care(g: Graph, symbols: Value, starts: Value, tables: BpeTables) -> list[Value]:
    """As ``read_characters``, for texts that are not plain ASCII."""
    simple = is_continuation(symbols).cast(np.int32)
    leads = bytes_at(g, symbols, places_where(g, (symbols >= FIRST_LEAD) & (symbols < AFTER)))
    with g.scope("repair"):
        valid = is_sound(g, leads, look_up(g, simple, starts)) & none_stray(g, simple, followers(g, leads))
        symbols, starts = g.if_(valid, lambda g: [symbols, starts], lambda g: list(replace_invalid(g, symbols, starts)))
    if tables.added is not None:
        marked = mark_added(g, symbols, symbols, starts, tables.added, DROPPED)
        symbols, starts = g.if_(
            any_of(g, marked.equals(DROPPED)),
            lambda g: list(without_dropped(g, marked, starts)),
            lambda g: [marked, starts],
        )
    if tables.prefix:
        symbols, starts = _with_blanks(g, symbols, starts)
    text = decoded(g, symbols, starts)
    if tables.composition is not None:
        # As good as before the blanks: these are in no pair, and nothing becomes one.
        symbols, text = composed(g, symbols, text, tables.composition)
    kinds = look_up(g, g.constant(tables.kinds, "kind_of_symbol"), text.own)
    of_several = look_up_pages(g, tables.kinds_of_code_point, text.code_points, "kind_of_code_point")
    return [symbols, text.at, g.op("ScatterElements", kinds, text.several, of_several), text.starts]


def _with_blanks(g: Graph, symbols: Value, starts: Value) -> tuple[Value, Value]:
    """Put a blank before each text, and behind each added token, where there is something that begins with none.

    :param symbols: int32 [T + PADDED]. :param starts: int32 [N]. :return: int32 [U + PADDED], int32 [N].
    """
    begins = g.op("ScatterElements", symbols - symbols, starts, starts - starts + 1)
    behind_token = g.op("Pad", (symbols >= SYMBOLS).cast(np.int32), np.array([1, -1])).sized_as(symbols)
    lacks = ((begins + behind_token) > 0) & (symbols < AFTER) & ~symbols.equals(BLANK)
    column = g.op("Where", lacks, np.array(BLANK, np.int32), np.array(DROPPED, np.int32))
    grid = g.concat([column.unsqueeze(1), symbols.unsqueeze(1)], axis=1).reshape(-1)
    return without_dropped(g, grid, starts * 2)
