"""Texts' bytes, written anew before they become codes; see ``tables.rewriting``. Plain ASCII stays as it is."""

import numpy as np

from m2v_export.graphs.arrays import any_of, keep, look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.code_points import decoded, look_up_pages
from m2v_export.text.stages.normalize.added import with_added
from m2v_export.text.stages.normalize.compose import composed, replaced
from m2v_export.text.stages.repair import made_valid
from m2v_export.text.tables.added import BEGINNING, NO_STATE
from m2v_export.text.tables.rewriting import Forms, Rewriting
from m2v_export.text.tables.utf8 import AFTER, FIRST_CONTINUATION, FOLLOWERS


def rewritten(g: Graph, symbols: Value, starts: Value, tables: Rewriting, count: int) -> tuple[Value, Value]:
    """:param symbols: int32 [T + PADDED]. :param starts: int64 [N], the first byte of each text.
    :param count: symbols are less, added tokens among them.
    :return: int32 [U + PADDED], int32 [N]: the same, in UTF-8, an added token as one.
    """
    flags = np.zeros(count, np.int32)
    flags[FIRST_CONTINUATION:AFTER] = 1
    for table in tables.searched:
        flags[: len(table.columns)] |= table.following[BEGINNING][table.columns] != NO_STATE
    starts = starts.cast(np.int32)

    def write(g: Graph) -> list[Value]:
        written, begins = made_valid(g, symbols, starts)
        for table in tables.searched:
            written, begins = with_added(g, written, begins, table)
        if tables.forms is not None:
            written, begins = with_forms(g, written, begins, tables.forms)
        if tables.composition is not None:
            written, text = composed(g, written, decoded(g, written, begins), tables.composition)
            begins = look_up(g, text.at, text.starts)
        return [written, begins]

    some = any_of(g, look_up(g, g.constant(flags, "rewritten"), symbols) > 0)
    symbols, starts = g.if_(some, write, lambda g: [symbols, starts])
    return symbols, starts


def with_forms(g: Graph, symbols: Value, starts: Value, forms: Forms) -> tuple[Value, Value]:
    """:param symbols: int32 [T + PADDED], UTF-8. :param starts: int32 [N]. :return: int32 [U + PADDED], int32 [N]."""
    text = decoded(g, symbols, starts)
    rows = look_up_pages(g, forms.rows, text.code_points, "row_of_form")

    def write(g: Graph) -> list[Value]:
        changes = rows > 0
        places = look_up(g, text.at, keep(g, text.several, changes))
        row = keep(g, rows, changes)
        sizes = look_up(g, g.constant(forms.sizes, "form_sizes"), row)
        gone = look_up(g, g.constant(FOLLOWERS + 1, "sizes_of_characters"), look_up(g, symbols, places))
        first = look_up(g, g.constant(forms.firsts, "form_firsts"), row)
        some = sizes > 0

        def bytes_of(g: Graph) -> list[Value]:
            at = characters_of(g, keep(g, first, some), keep(g, sizes, some)).at
            return [look_up(g, g.constant(forms.bytes_, "form_bytes"), at)]

        bytes_ = g.if_(any_of(g, some), bytes_of, lambda g: [places.slice(0, 0)])[0]
        return list(replaced(g, symbols, starts, places, gone, bytes_, sizes))

    symbols, starts = g.if_(any_of(g, rows > 0), write, lambda g: [symbols, starts])
    return symbols, starts
