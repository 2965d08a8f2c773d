"""Canonical composition (NFC) of the texts' bytes; see ``tables.composition``.

Most texts are composed already, which a look at a few of their characters tells. In the others only the *clusters* that
may change are worked on: a cluster goes from a character that no other takes up to the next such character.
"""

import numpy as np

from m2v_export.graphs.arrays import END, any_of, counted, keep, look_up, places_where, previous, zeros, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.code_points import Decoded, decoded, look_up_pages, to_utf8
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.stages.normalize.marks import sorted_by_class
from m2v_export.text.tables.composition import CHANGES, CLASSES, CONTINUES, GONE, KEY, ROW, SECOND, TAKES, Composition
from m2v_export.text.tables.pages import MOST_SAID
from m2v_export.text.tables.utf8 import AFTER, FIRST_CONTINUATION


def composed(g: Graph, symbols: Value, text: Decoded, tables: Composition) -> tuple[Value, Decoded]:
    """:param symbols: int32 [T + PADDED], UTF-8; an added token, a symbol by itself, ends what is composed.
    :param text: its characters. :return: the same, composed: int32 [U + PADDED], and its characters.
    """
    traits = look_up_pages(g, tables.traits, text.code_points, "traits")
    cared = _has(traits, CONTINUES + CHANGES)

    def unchanged(g: Graph) -> list[Value]:
        return [symbols, *text.values]

    def look(g: Graph) -> list[Value]:
        own = g.op("Where", text.own < FIRST_CONTINUATION, text.own, np.array(0, np.int32))
        all_traits = look_up(g, g.constant(tables.of_ascii, "traits_of_ascii"), own)
        all_traits = g.op("ScatterElements", all_traits, text.several, traits)
        places = _may_change(g, keep(g, text.several, cared), all_traits)

        def change(g: Graph) -> list[Value]:
            code_points = g.op("ScatterElements", own, text.several, text.code_points)
            changed, starts = _with_clusters(g, symbols, text, code_points, all_traits, places, tables)
            return [changed, *decoded(g, changed, starts).values]

        return g.if_(places.size() > 0, change, unchanged)

    symbols, *values = g.if_(any_of(g, cared), look, unchanged)
    return symbols, Decoded(*values)


def _has(traits: Value, bits: int) -> Value:
    """:param traits: int32 [P]. :return: bool [P], whether there is one of some bits."""
    return traits.graph.op("BitwiseAnd", traits, bits) > 0


def _class(traits: Value) -> Value:
    """:param traits: int32 [P]. :return: int32 [P]."""
    return traits.graph.op("BitwiseAnd", traits, CLASSES - 1)


def _may_change(g: Graph, places: Value, traits: Value) -> Value:
    """:param places: int32 [Q], characters that change a text, if any does. :param traits: int32 [C].
    :return: int32 [R], those of them that may.
    """
    # Before the first character is the last one, the end, which has no traits. What is before a text's first matters
    # not: its cluster begins there.
    own, before = look_up(g, traits, places), look_up(g, traits, places - 1)
    taken = _has(own, SECOND) & _has(before, TAKES + CONTINUES)
    misplaced = (_class(own) > 0) & (_class(before) > _class(own))
    return keep(g, places, _has(own, CHANGES) | taken | misplaced)


def _with_clusters(
    g: Graph, symbols: Value, text: Decoded, code_points: Value, traits: Value, places: Value, tables: Composition
) -> tuple[Value, Value]:
    """Compose the clusters that some characters are in.

    :param code_points: int32 [C], 0 for added tokens and the end. :param traits: int32 [C].
    :param places: int32 [R], R > 0, the characters.
    :return: int32 [U + PADDED], int32 [N]: symbols, and the first byte of each text.
    """
    behind_token = previous(g, (text.own >= AFTER).cast(np.int32)) > 0
    begins = (behind_token | ~_has(traits, CONTINUES)).cast(np.int32)
    begins = g.op("ScatterElements", begins, text.starts, zeros_like(text.starts) + 1).sized_as(traits)
    number = g.op("CumSum", begins, np.array(0)).of_rank(1) - 1
    firsts = places_where(g, begins > 0)
    of_places = look_up(g, number, places)
    chosen = g.op("ScatterElements", zeros_like(firsts), of_places, zeros_like(of_places) + 1)
    chosen = places_where(g, chosen > 0)
    first, behind = look_up(g, firsts, chosen), look_up(g, firsts, chosen + 1)
    old = characters_of(g, first, behind - first)
    parts, firsts = _decomposed(g, look_up(g, code_points, old.at), look_up(g, traits, old.at), old.firsts, tables)
    parts = sorted_by_class(g, parts, _class(parts), firsts)
    bytes_, sizes = to_utf8(g, _composed(g, parts, firsts, tables))
    begin, end = look_up(g, text.at, first), look_up(g, text.at, behind)
    sizes = _runs(g, look_up(g, counted(g, sizes), firsts), bytes_.size())
    return replaced(g, symbols, look_up(g, text.at, text.starts), begin, end - begin, bytes_, sizes)


def _runs(g: Graph, firsts: Value, end: Value) -> Value:
    """:param firsts: int32 [M], where runs begin that lie end to end. :param end: int64 [1]. :return: int32 [M]."""
    return g.concat([firsts, end.cast(np.int32)]).slice(1, END).sized_as(firsts) - firsts


def _decomposed(g: Graph, code_points: Value, traits: Value, firsts: Value, tables: Composition) -> tuple[Value, Value]:
    """:param code_points: int32 [P]. :param traits: int32 [P]. :param firsts: int32 [M], where clusters begin.
    :return: int32 [Q], int32 [M]: code points with their classes, as the table has them, and where clusters begin.
    """
    most = tables.decompositions.shape[1]
    row = (traits // ROW).unsqueeze(1)
    column = np.arange(most, dtype=np.int32)
    table = g.constant(tables.decompositions.reshape(-1), "decompositions")
    own = (code_points * CLASSES + _class(traits)).unsqueeze(1)
    parts = look_up(g, table, (row * most + column).reshape(-1)).reshape(-1, most)
    # What has no row is itself alone.
    parts = g.op("Where", (row + column) > 0, parts, own).reshape(-1)
    kept = parts > GONE
    return keep(g, parts, kept), look_up(g, counted(g, kept.cast(np.int32)), firsts * most)


def _composed(g: Graph, parts: Value, firsts: Value, tables: Composition) -> Value:
    """Let starters take up what follows them: in each round one more character of every cluster is looked at.

    :param parts: int32 [Q], code points with their classes, in order. :param firsts: int32 [M], where clusters begin.
    :return: int32 [Q], code points, and GONE where they were taken up.
    """
    sizes = _runs(g, firsts, parts.size())
    end = parts.size().cast(np.int32)
    parts = g.concat([parts, np.array([0], np.int32)])
    classes = _class(parts)
    table = HashTable(g, tables.hash, "compositions", np.int64)

    def one_round(
        g: Graph, i: Value, code_points: Value, starters: Value, last: Value
    ) -> tuple[None, list[Value], list[Value]]:
        """:param starters: int32 [M], where the last starter is.
        :param last: int32 [M], the class of the last character behind it that stays; NONE for none.
        """
        at = (i + 1).cast(np.int32)
        # Clusters that are at their end look at what is behind all.
        here = g.op("Where", sizes > at, firsts + at, end)
        own, class_, starter = (
            look_up(g, code_points, here),
            look_up(g, classes, here),
            look_up(g, code_points, starters),
        )
        key = starter.cast(np.int64) * KEY[0] + own.cast(np.int64) * KEY[1]
        found = look_up(g, table.keys, table.slots(g, key * tables.factor)) - key
        # A character of the same class between the two, or of any between two starters, keeps them apart.
        taken = (found > 0) & (found < MOST_SAID) & (last < class_)
        own = g.op("Where", taken, np.array(GONE, np.int32), own)
        starter = g.op("Where", taken, found.cast(np.int32), starter)
        code_points = g.op("ScatterElements", code_points, g.concat([here, starters]), g.concat([own, starter]))
        is_starter = class_.equals(0) & ~taken
        last_here = g.op("Where", is_starter, np.array(NONE, np.int32), class_)
        return (
            None,
            [
                code_points,
                g.op("Where", is_starter, here, starters),
                g.op("Where", taken, last, last_here),
            ],
            [],
        )

    # A cluster may begin with marks: the first of them takes up nothing.
    state = [parts // CLASSES, firsts, zeros_like(firsts) + NONE]
    rounds = g.op("ReduceMax", sizes, keepdims=0).cast(np.int64) - 1
    return g.loop(state, one_round, trips=rounds)[0].slice(0, -1)


NONE = -1
"""Below all classes."""


def replaced(
    g: Graph, symbols: Value, starts: Value, places: Value, gone: Value, bytes_: Value, sizes: Value
) -> tuple[Value, Value]:
    """Put other bytes into the place of some.

    :param symbols: int32 [T]. :param starts: int32 [N]. :param places: int32 [M], where bytes are taken out, ascending.
    :param gone: int32 [M], how many, at least one. :param bytes_: int32 [B], what is put there.
    :param sizes: int32 [M], how many of them at each place. :return: int32 [U], int32 [N].
    """
    out = characters_of(g, places, gone)
    kept = g.op("ScatterElements", zeros_like(symbols) + 1, out.at, zeros_like(out.at)).sized_as(symbols)
    counts = g.op("ScatterElements", kept, places, sizes).sized_as(symbols)
    at = counted(g, counts)
    some = sizes > 0

    def places_into(g: Graph) -> list[Value]:
        return [characters_of(g, keep(g, look_up(g, at, places), some), keep(g, sizes, some)).at]

    into = g.if_(any_of(g, some), places_into, lambda g: [bytes_])[0]
    total = g.op("ReduceSum", counts, keepdims=0).reshape(1)
    # What is taken out goes behind the end: it takes longer to choose the others.
    to, values = g.concat([g.op("Where", kept > 0, at, total), into]), g.concat([symbols, bytes_])
    replaced = g.op("ScatterElements", zeros(g, (total + 1).cast(np.int64)), to, values)
    return replaced.slice(0, -1), look_up(g, at, starts)
