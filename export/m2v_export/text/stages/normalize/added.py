"""Added tokens, found in a text before it is cut into words: leftmost, and of those the longest.

The same search serves twice: over bytes for the tokens that are matched in the text as it stands, over codes for those
that are matched in normalized text. A table of states (a trie) is walked from every place where a token may begin.
"""

import numpy as np

from m2v_export.graphs.arrays import END, any_of, counted, counted_at, keep, look_up, ones, positions, reachable, zeros
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.added import BEGINNING, NO_STATE, AddedTable, SingleWords
from m2v_export.text.tables.alphabet import DROPPED


def mark_added(
    g: Graph,
    symbols: Value,
    codes: Value,
    starts: Value,
    table: AddedTable,
    dropped: int,
    single_words: SingleWords | None = None,
) -> Value:
    """Put the codes of added tokens in place of what they are made of.

    :param symbols: int32 [T], bytes, or places in a table of codes. :param codes: int32 [T].
    :param starts: int32 or int64 [N], where each text begins: tokens do not reach over it.
    :return: int32 [T]: the token's code at its first place, ``dropped`` at the others.
    """
    columns = look_up(g, g.constant(table.columns, "added_columns"), symbols)
    begins = look_up(g, g.constant(table.following[BEGINNING], "added_begins"), columns)
    candidates = positions(g, begins)

    def search(g: Graph) -> list[Value]:
        places, lengths, found = _tokens_at(g, columns, candidates, starts, table)
        if table.overlap:
            first = _without_overlaps(g, symbols.size(), places, lengths)
            places, lengths, found = (keep(g, of, first) for of in (places, lengths, found))
        if single_words is not None:
            # A token that does not count has taken the place of those that it overlaps all the same.
            counts = ~_touch_words(g, symbols, places, places + lengths, found, starts, single_words)
            places, lengths, found = (keep(g, of, counts) for of in (places, lengths, found))
        column = np.arange(table.longest)
        covered = keep(g, (places.unsqueeze(1) + column).reshape(-1), (lengths.unsqueeze(1) > column).reshape(-1))
        gone = g.op("Expand", np.array([dropped], np.int32), covered.size())
        without = g.op("ScatterElements", codes, covered, gone)
        return [g.op("ScatterElements", without, places, found)]

    return g.if_(candidates.size() > 0, search, lambda g: [codes])[0]


def _touch_words(
    g: Graph, symbols: Value, places: Value, ends: Value, found: Value, starts: Value, single_words: SingleWords
) -> Value:
    """:param places: int64 [Q]. :param ends: int64 [Q]. :param found: int32 [Q], codes.
    :return: bool [Q], whether a token that must be a word of its own has a part of a word beside it.
    """
    in_words = look_up(g, g.constant(single_words.in_words, "in_words"), symbols)
    inner = g.op("ScatterElements", ones(g, symbols.size()), starts, zeros(g, starts.size())).of_rank(1)
    before = look_up(g, in_words, places - 1) * look_up(g, inner, places)
    behind = look_up(g, in_words, ends) * look_up(g, inner, ends)
    is_single = found.unsqueeze(1).equals(single_words.tokens).cast(np.int32)
    return (g.op("ReduceMax", is_single, np.array([1]), keepdims=0).of_rank(1) * (before + behind)) > 0


def with_added(g: Graph, symbols: Value, starts: Value, table: AddedTable) -> tuple[Value, Value]:
    """:param symbols: int32 [T + PADDED]. :param starts: int32 [N]. :return: the same, added tokens as one symbol."""
    return without_marked(g, starts, mark_added(g, symbols, symbols, starts, table, DROPPED))


def without_marked(g: Graph, starts: Value, marked: Value) -> tuple[Value, Value]:
    """:param marked: int32 [T + PADDED], DROPPED where symbols go. :return: int32 [U + PADDED], int32 [N]."""
    symbols, starts = g.if_(
        any_of(g, marked.equals(DROPPED)),
        lambda g: list(without_dropped(g, marked, starts)),
        lambda g: [marked, starts],
    )
    return symbols, starts


def without_dropped(g: Graph, codes: Value, starts: Value) -> tuple[Value, Value]:
    """:param codes: int32 [C]. :param starts: int32 [N]. :return: int32 [D], int32 [N]."""
    kept = ~codes.equals(DROPPED)
    return keep(g, codes, kept), counted_at(g, kept, starts)


def may_begin(g: Graph, symbols: Value, table: AddedTable) -> Value:
    """Whether a token may begin anywhere, by its first symbols.

    :param symbols: int32 [K, P], those from some places on.
    :return: bool [].
    """
    ended = np.where((table.codes > 0)[:, None], np.arange(len(table.codes), dtype=np.int32)[:, None], table.following)
    following = g.constant(ended.reshape(-1), "added_ended")
    columns = g.constant(table.columns, "added_columns")
    state = None
    for i in range(min(LOOKED_AT, table.longest)):
        column = look_up(g, columns, g.op("Gather", symbols, np.array(i)))
        before = BEGINNING * ended.shape[1] if state is None else state * ended.shape[1]
        state = look_up(g, following, column + before)
    assert state is not None
    return any_of(g, state > 0)


LOOKED_AT = 3
"""Symbols that tell most brackets from added tokens."""


def _tokens_at(g: Graph, columns: Value, places: Value, starts: Value, table: AddedTable) -> tuple[Value, Value, Value]:
    """The longest token at every place where there is one.

    :param columns: int32 [T]. :param places: int64 [P], ascending, where one may begin.
    :return: int64 [Q], int64 [Q], int32 [Q]: places, ascending, lengths and codes.
    """
    # The walk may look past the end.
    columns = g.concat([columns, np.zeros(table.longest, np.int32)])
    inner = g.op("ScatterElements", ones(g, columns.size()), starts, zeros(g, starts.size()), reduction="min")
    following = g.constant(table.following.reshape(-1), "added_states")
    codes = g.constant(table.codes, "added_codes")

    def one_more(
        g: Graph, depth: Value, state: Value, found: Value, lengths: Value
    ) -> tuple[Value, list[Value], list[Value]]:
        here = places + depth
        state = look_up(g, following, state * table.following.shape[1] + look_up(g, columns, here))
        # A token may begin where a text begins, and not go on there.
        state = state * g.op("Max", look_up(g, inner, here), depth.equals(0).cast(np.int32))
        code = look_up(g, codes, state)
        lengths = g.op("Where", code > 0, depth + 1, lengths)
        goes_on = g.op("ReduceMax", state, keepdims=0) > NO_STATE
        return goes_on, [state, g.op("Where", code > 0, code, found), lengths], []

    none = zeros(g, places.size())
    trips = g.constant(np.array(table.longest))
    _, found, lengths = g.loop([none + BEGINNING, none, places * 0], one_more, trips=trips)
    is_token = lengths > 0
    return keep(g, places, is_token), keep(g, lengths, is_token), keep(g, found, is_token)


def _without_overlaps(g: Graph, size: Value, places: Value, lengths: Value) -> Value:
    """Of tokens that overlap the first one counts, and what begins inside it does not.

    :param size: int64 [1], T. :param places: int64 [Q], ascending. :param lengths: int64 [Q].
    :return: bool [Q].
    """
    ends = places + lengths

    def follow(g: Graph) -> list[Value]:
        is_place = g.op("ScatterElements", zeros(g, size + 1), places, ones(g, places.size()))
        # The number of tokens that begin before a place is the index of the next one.
        before = counted(g, is_place).cast(np.int64)
        jump = g.concat([look_up(g, before, ends), places.size()])
        marks = g.op("ScatterElements", zeros(g, jump.size()), np.array([0]), np.array([1], np.int32))
        return [reachable(g, marks, jump).slice(0, -1) > 0]

    overlaps = any_of(g, places.slice(1, END) < ends.slice(0, -1))
    return g.if_(overlaps, follow, lambda g: [lengths > 0])[0]
