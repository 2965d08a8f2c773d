"""UTF-8 bytes to codes, one for each character of the normalized text.

A batch of plain ASCII needs one look-up a byte. In others the characters of several bytes are decoded where they
begin. Where these are few, what follows their first bytes stays in place (``in_place``); else it is taken out, and
with it what is dropped: accents, controls. Bytes that are no UTF-8 become U+FFFD first, as many as Python's
``bytes.decode("utf-8", errors="replace")`` makes.
"""

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import any_of, keep, later, look_up, places_of_all, places_where, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.code_points import code_points_at, look_up_pages
from m2v_export.text.stages.normalize.added import mark_added, may_begin, without_dropped
from m2v_export.text.stages.normalize.graphemes import join_clusters
from m2v_export.text.stages.normalize.in_place import IN_PLACE_FROM, Leads, are_few, closed, codes_in_place
from m2v_export.text.stages.normalize.marks import indices_of, sort_marks
from m2v_export.text.stages.normalize.rewrite import rewritten
from m2v_export.text.stages.repair import bytes_at, followers, is_sound, none_stray, replace_invalid
from m2v_export.text.stages.words import Begins, find_begins
from m2v_export.text.tables.added import BEGINNING, NO_STATE
from m2v_export.text.tables.alphabet import CANDIDATE, DROPPED, LEAD
from m2v_export.text.tables.normalization import SPELLED, CodeTables, Normalization
from m2v_export.text.tables.pages import COLOURS
from m2v_export.text.tables.utf8 import AFTER, FIRST_CONTINUATION, FIRST_LEAD, FOLLOWERS, MOST_BYTES, SYMBOLS


def codes_of(g: Graph, symbols: Value, starts: Value, tables: Normalization) -> tuple[Begins, Value]:
    """Decode and normalize.

    :param symbols: int32 [T + PADDED]. :param starts: int64 [N], the first byte of each text.
    :return: the codes and where words begin in them, and int32 [N], the first code of each text.
    """
    if tables.rewriting is not None:
        with g.scope("rewrite"):
            symbols, starts = rewritten(g, symbols, starts, tables.rewriting, len(tables.codes.of_byte))
    codes = flagged_codes(g, symbols, tables)
    if tables.rewriting is not None:
        # Added tokens have their codes, and are nobody's neighbours.
        symbols = g.op("Where", symbols < SYMBOLS, symbols, np.array(AFTER, np.int32))
    highest = g.op("ReduceMax", codes, keepdims=0)

    # Cast in the branches, which would copy what they pass on as it is.
    def plain(g: Graph) -> list[Value]:
        return _with_begins(g, codes, starts.cast(np.int32), tables)

    def with_care(g: Graph) -> list[Value]:
        return careful_codes(g, symbols, starts.cast(np.int32), codes, highest, tables)

    codes, starts, nodes, places = g.if_(highest < DROPPED, plain, with_care)
    return Begins(codes, nodes, places), starts


def _with_begins(g: Graph, codes: Value, starts: Value, tables: Normalization) -> list[Value]:
    """What is done to codes after decoding, and where words begin in them.

    :return: int32 [C + PADDED], int32 [N], int32 [C + PADDED], int32 [W + 2]: codes, texts, and the rest of ``Begins``.
    """
    if tables.mark_classes is not None:
        codes = sort_marks(g, codes, starts, tables.alphabet, tables.mark_classes)
    if tables.normalized is not None:
        indices = indices_of(g, codes, tables.alphabet)
        codes = mark_added(g, indices, codes, starts, tables.normalized, DROPPED, tables.single_words)
        codes, starts = without_dropped(g, codes, starts)
    words = find_begins(g, codes, places_of_all(g, codes), starts, tables.alphabet)
    return [codes, starts, words.nodes, words.places]


def flagged_codes(g: Graph, symbols: Value, tables: Normalization) -> Value:
    """:param symbols: int32 [T + PADDED]. :return: int32 [T + PADDED], see ``_flagged``."""
    return look_up(g, g.constant(_flagged(tables), "code_of_byte"), symbols)


def _flagged(tables: Normalization) -> npt.NDArray[np.int32]:
    """What one look tells of each byte: a code, DROPPED for one that continues a character, else that it must be
    looked at with its neighbours.

    :return: int32 [258].
    """
    flagged = tables.codes.of_byte.copy()
    flagged[flagged >= DROPPED] = LEAD
    flagged[FIRST_CONTINUATION:FIRST_LEAD] = DROPPED
    if tables.added is not None:
        begins = tables.added.following[BEGINNING][tables.added.columns] != NO_STATE
        flagged[begins] = CANDIDATE
    return flagged


def careful_codes(
    g: Graph, symbols: Value, starts: Value, codes: Value, highest: Value, tables: Normalization
) -> list[Value]:
    """As ``_with_begins``, for texts that are not plain ASCII.

    :param codes: int32 [T + PADDED], flagged. :param highest: int32 [], the greatest of them.
    """
    here = places_of_all(g, codes)
    places = keep(g, here, codes >= LEAD)
    bytes_ = bytes_at(g, symbols, places)
    leads = Leads(places, _codes_at(g, bytes_, tables.codes), followers(g, bytes_))
    with g.scope("repair"):
        sound = is_sound(g, bytes_, look_up(g, codes, starts).equals(DROPPED).cast(np.int32))
    special = has_candidates = highest >= CANDIDATE
    if tables.added is not None:
        added = tables.added
        special = g.if_(has_candidates, lambda g: [may_begin(g, bytes_, added)], lambda g: [has_candidates])[0]

    def many(g: Graph) -> list[Value]:
        return _codes_with_many(g, symbols, starts, codes, leads, sound, special, tables)

    # A hole is no sign, whatever it is behind.
    if tables.mark_classes is not None or tables.normalized is not None or tables.alphabet.sign:
        return many(g)
    few_bytes = g.op("Size", codes) <= IN_PLACE_FROM
    is_few = g.if_(
        few_bytes,
        lambda g: [~few_bytes],
        lambda g: [sound & ~special & are_few(g, codes, leads, tables.alphabet)],
    )[0]

    def in_place(g: Graph) -> list[Value]:
        filled, holes = codes_in_place(g, codes, leads, tables.alphabet)
        # What has no code yet is a byte too many, or a character that becomes nothing or several.
        return [filled, holes, g.op("ReduceMax", filled, keepdims=0) < DROPPED]

    filled, holes, done = g.if_(is_few, in_place, lambda g: [codes, places.slice(0, 0), is_few])

    def few(g: Graph) -> list[Value]:
        words = find_begins(g, filled, here, starts, tables.alphabet)
        none = holes.slice(0, 0)
        moved = g.if_(
            holes.size() > 0, lambda g: list(closed(g, words, holes, tables.alphabet)), lambda g: [none, none]
        )
        # Not in the branch, where it would be a copy of all.
        return [words.codes, starts, g.op("ScatterElements", words.nodes, *moved), words.places]

    return g.if_(done, few, many)


def _codes_with_many(
    g: Graph,
    symbols: Value,
    starts: Value,
    codes: Value,
    leads: Leads,
    sound: Value,
    special: Value,
    tables: Normalization,
) -> list[Value]:
    """As ``careful_codes``, by taking out all bytes that follow.

    :param sound: bool [], see ``is_sound``. :param special: bool [], whether there may be added tokens.
    """
    decoded = g.op("ScatterElements", codes, leads.places, leads.codes)
    with g.scope("repair"):
        valid = sound & none_stray(g, codes.equals(DROPPED).cast(np.int32), leads.followers)
    several = any_of(g, leads.codes > DROPPED)

    def special_codes(g: Graph) -> list[Value]:
        return list(_special_codes(g, symbols, starts, decoded, leads.codes, valid, special, tables))

    codes, starts = g.if_(valid & ~(several | special), lambda g: [decoded, starts], special_codes)
    return _with_begins(g, *without_dropped(g, codes, starts), tables)


def _special_codes(
    g: Graph,
    symbols: Value,
    starts: Value,
    codes: Value,
    of_leads: Value,
    valid: Value,
    special: Value,
    tables: Normalization,
) -> tuple[Value, Value]:
    """For bytes that are not UTF-8, added tokens, and characters of several codes.

    :param codes: int32 [T + PADDED]. :param of_leads: int32 [L]. :param valid: bool [], whether they are UTF-8.
    :param special: bool [], whether there may be added tokens, if they are.
    :return: int32 [C + PADDED], int32 [N]: codes, some of them DROPPED, and where texts begin.
    """

    def mend(g: Graph) -> list[Value]:
        mended, mended_starts = replace_invalid(g, symbols, starts)
        flagged = flagged_codes(g, mended, tables)
        places = places_where(g, flagged >= LEAD)
        of_leads = _codes_at(g, bytes_at(g, mended, places), tables.codes)
        return [mended, mended_starts, g.op("ScatterElements", flagged, places, of_leads), of_leads]

    with g.scope("repair"):
        symbols, starts, codes, of_leads = g.if_(valid, lambda g: [symbols, starts, codes, of_leads], mend)
    if tables.added is not None:
        added = tables.added
        # Where bytes were mended nobody has looked.
        marked = g.if_(
            special | ~valid,
            lambda g: [mark_added(g, symbols, codes, starts, added, DROPPED)],
            lambda g: [codes],
        )[0]
    else:
        marked = codes
    if tables.codes.graphemes is not None:
        graphemes = tables.codes.graphemes
        marked = g.if_(
            any_of(g, of_leads > DROPPED + tables.codes.flagged),
            lambda g: [join_clusters(g, symbols, marked, ~marked.equals(codes), starts, graphemes)],
            lambda g: [marked],
        )[0]
    codes = marked
    if tables.codes.loose_bytes is not None:
        loose = tables.codes.loose_bytes
        codes = g.if_(
            any_of(g, of_leads.equals(SPELLED)), lambda g: [_spelled(g, symbols, marked, loose)], lambda g: [marked]
        )[0]
    if tables.codes.expansions.size:
        codes, starts = g.if_(
            any_of(g, of_leads > DROPPED),
            lambda g: list(_expanded(g, codes, starts, tables.codes.expansions)),
            lambda g: [codes, starts],
        )
    return codes, starts


def _codes_at(g: Graph, bytes_: Value, tables: CodeTables) -> Value:
    """:param bytes_: int32 [4, L], those from where characters begin. :return: int32 [L], their codes."""
    return look_up_pages(g, tables.of_code_point, code_points_at(g, bytes_), "code_of_code_point")


def _spelled(g: Graph, symbols: Value, codes: Value, loose_bytes: npt.NDArray[np.int32]) -> Value:
    """Put codes of bytes where characters are SPELLED.

    :param symbols: int32 [C], UTF-8. :param codes: int32 [C], 0 or more where a character begins.
    :param loose_bytes: int32 [258]. :return: int32 [C].
    """
    sizes = look_up(g, g.constant(FOLLOWERS + 1, "sizes_of_characters"), symbols) * codes.equals(SPELLED).cast(np.int32)
    within = sizes > 0
    for i in range(1, MOST_BYTES):
        within = within | (later(g, sizes, -i) > i)
    return g.op("Where", within, look_up(g, g.constant(loose_bytes, "loose_bytes"), symbols), codes).sized_as(codes)


NARROW = 4
"""Codes of a character up to which all are written out side by side, those of one code too."""


def _expanded(g: Graph, codes: Value, starts: Value, expansions: npt.NDArray[np.int32]) -> tuple[Value, Value]:
    """Write out the characters that become several, Hangul syllables above all.

    :param codes: int32 [C]. :param starts: int32 [N].
    :param expansions: int32 [characters, most codes].
    :return: int32 [D], int32 [N]: codes, some of them DROPPED, and where texts begin.
    """
    # Row 0 is for all others, which have one code, their own.
    row = g.op("Max", codes - DROPPED, np.array([0], np.int32))
    if expansions.shape[1] > NARROW:
        return _put_between(g, codes, starts, row, expansions)
    columns = []
    for i, column in enumerate(expansions.T):
        # In bytes, which take a fourth of the file's room: most are Hangul's few letters.
        values, numbers = np.unique(np.concatenate([[DROPPED], column]).astype(np.int32), return_inverse=True)
        small = np.uint8 if len(values) <= COLOURS else np.int32
        number = look_up(g, g.constant(numbers.astype(small), f"expansion_{i}"), row).cast(np.int32)
        columns.append(look_up(g, g.constant(values, f"expanded_{i}"), number))
    columns[0] = g.op("Where", row > 0, columns[0], codes)
    grid = g.concat([column.unsqueeze(1) for column in columns], axis=1).reshape(-1)
    return grid, starts * len(columns)


def _put_between(
    g: Graph, codes: Value, starts: Value, row: Value, expansions: npt.NDArray[np.int32]
) -> tuple[Value, Value]:
    """As ``_expanded``, where few characters become many codes, as Arabic ligatures do: only these take more room.

    :param row: int32 [C], the expansion of each code, counted from 1; 0 for none.
    """
    most = expansions.shape[1]
    sizes = np.maximum((expansions != DROPPED).sum(axis=1), 1).astype(np.int32)
    several = places_where(g, row > 0)
    rows = look_up(g, row, several) - 1
    more = look_up(g, g.constant(sizes - 1, "expansion_sizes"), rows)
    before = g.op("CumSum", g.op("ScatterElements", zeros_like(codes), several, more), np.array(0), exclusive=1)
    here = places_of_all(g, codes) + before.of_rank(1)
    last = look_up(g, here, here.size() - 1)
    moved = g.op("Expand", np.array([DROPPED], np.int32), last.cast(np.int64) + 1).of_rank(1)
    moved = g.op("ScatterElements", moved, here, codes)
    column = np.arange(most, dtype=np.int32)
    its = look_up(g, g.constant(expansions.reshape(-1), "expansions"), (rows.unsqueeze(1) * most + column).reshape(-1))
    places = (look_up(g, here, several).unsqueeze(1) + column).reshape(-1)
    is_one = (more.unsqueeze(1) >= column).reshape(-1)
    moved = g.op("ScatterElements", moved, keep(g, places, is_one), keep(g, its, is_one)).of_rank(1)
    return moved, look_up(g, here, starts)
