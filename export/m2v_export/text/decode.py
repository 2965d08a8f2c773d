"""UTF-8 bytes to codes, one for each character of the normalized text.

A batch of plain ASCII needs one look-up a byte. In others the characters of several bytes are decoded where they
begin, and what is dropped (the bytes that follow, accents, controls) is taken out. Bytes that are no UTF-8 become
U+FFFD first, as many as Python's ``bytes.decode("utf-8", errors="replace")`` makes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graph import Graph, Value
from m2v_export.text.added import BEGINNING, NO_STATE, AddedTable, mark_added
from m2v_export.text.alphabet import CANDIDATE, DROPPED, LEAD
from m2v_export.text.arrays import any_of, counted, keep, look_up, positions
from m2v_export.text.repair import is_valid, replace_invalid
from m2v_export.text.utf8 import FIRST_CONTINUATION, FIRST_LEAD, FOLLOWERS, SYMBOLS

PAGE = 256
"""Code points in a page of the table."""


@dataclass(frozen=True, eq=False)
class CodeTables:
    """What becomes of each character.

    :ivar of_byte: int32 [258], codes of the ASCII characters, of AFTER and PADDING, and DROPPED for bytes from 128 on.
    :ivar page: int32 [4352], where the page of a code point begins in ``of_code_point``.
    :ivar of_code_point: int32 [pages * 256], codes.
    :ivar expansions: int32 [characters, most codes], codes of those characters that become several; DROPPED at the end.
    :ivar added: the added tokens that are looked for in the bytes.
    """

    of_byte: npt.NDArray[np.int32]
    page: npt.NDArray[np.int32]
    of_code_point: npt.NDArray[np.int32]
    expansions: npt.NDArray[np.int32]
    added: AddedTable | None


def codes_of(g: Graph, symbols: Value, starts: Value, tables: CodeTables) -> tuple[Value, Value]:
    """Decode and normalize.

    :param symbols: int32 [T + PADDED]. :param starts: int64 [N], the first byte of each text.
    :return: int32 [C + PADDED], int64 [N]: codes and the first of each text.
    """
    of_byte = g.constant(_flagged(tables), "code_of_byte")
    codes = look_up(g, of_byte, symbols)
    highest = g.op("ReduceMax", codes, keepdims=0)

    def with_care(g: Graph) -> list[Value]:
        return list(careful_codes(g, symbols, starts, codes, highest, of_byte, tables))

    codes, starts = g.if_(highest < DROPPED, lambda g: [codes, starts], with_care)
    return codes, starts


def _flagged(tables: CodeTables) -> npt.NDArray[np.int32]:
    """What one look tells of each byte: a code, DROPPED for one that continues a character, else that it must be
    looked at with its neighbours.

    :return: int32 [258].
    """
    flagged = tables.of_byte.copy()
    flagged[flagged >= DROPPED] = LEAD
    flagged[FIRST_CONTINUATION:FIRST_LEAD] = DROPPED
    if tables.added is not None:
        begins = tables.added.following[BEGINNING][tables.added.columns] != NO_STATE
        flagged[begins] = CANDIDATE
    return flagged


def careful_codes(
    g: Graph, symbols: Value, starts: Value, codes: Value, highest: Value, of_byte: Value, tables: CodeTables
) -> tuple[Value, Value]:
    """As ``codes_of``, for texts that are not plain ASCII.

    :param codes: int32 [T + PADDED], flagged. :param highest: int32 [], the greatest of them.
    :param of_byte: int32 [258], flagged codes.
    """
    leads = positions(g, codes >= LEAD)

    def mend(g: Graph) -> list[Value]:
        mended, mended_starts = replace_invalid(g, symbols, starts)
        codes = look_up(g, of_byte, mended)
        return [mended, mended_starts, codes, positions(g, codes >= LEAD)]

    with g.scope("repair"):
        valid = is_valid(g, symbols, starts, codes.equals(DROPPED), leads)
        symbols, starts, codes, leads = g.if_(valid, lambda g: [symbols, starts, codes, leads], mend)
    of_leads = _codes_at(g, symbols, leads, tables)
    codes = g.op("ScatterElements", codes, leads, of_leads)
    if tables.added is not None:
        added = tables.added
        codes = g.if_(
            highest >= CANDIDATE,
            lambda g: [mark_added(g, symbols, codes, starts, added, DROPPED)],
            lambda g: [codes],
        )[0]
    codes, starts = without(g, codes, starts, codes.equals(DROPPED))
    return _expand(g, codes, starts, of_leads, tables.expansions) if tables.expansions.size else (codes, starts)


def _codes_at(g: Graph, symbols: Value, leads: Value, tables: CodeTables) -> Value:
    """:param symbols: int32 [T + PADDED], UTF-8. :param leads: int64 [L], where characters begin.
    :return: int32 [L], their codes.
    """
    code_point = code_points_at(g, symbols, leads)
    page = look_up(g, g.constant(tables.page, "page"), code_point // PAGE)
    return look_up(
        g, g.constant(tables.of_code_point, "code_of_code_point"), page + g.op("BitwiseAnd", code_point, PAGE - 1)
    )


def code_points_at(g: Graph, symbols: Value, leads: Value) -> Value:
    """Put together the bits of characters of one to four bytes.

    Bytes are added up with their marker bits, as if all characters had four bytes; then the markers are taken off and
    the bytes too many divided away.

    :param symbols: int32 [T + PADDED], UTF-8. :param leads: int64 [L]. :return: int32 [L].
    """
    lead = look_up(g, symbols, leads)
    bits = g.op("BitwiseAnd", lead, 0x7F) * (1 << 18)
    for i, shift in ((1, 12), (2, 6), (3, 0)):
        bits = bits + g.op("BitwiseAnd", look_up(g, symbols, leads + i), 0x3F) * (1 << shift)
    # Of a lead's bits some are markers still, by its length: 0xxxxxxx, 110xxxxx, 1110xxxx, 11110xxx.
    mask, divisor = (
        g.constant(table, name) for table, name in ((_LEAD_MASK, "lead_mask"), (_LEAD_DIVISOR, "lead_divisor"))
    )
    return g.op("BitwiseAnd", bits, look_up(g, mask, lead)) // look_up(g, divisor, lead)


def _lead_tables() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """:return: int32 [258], int32 [258]: by lead byte, the bits that are the code point's, and what to divide by."""
    mask, divisor = np.zeros(SYMBOLS, np.int32), np.ones(SYMBOLS, np.int32)
    for lead in (*range(FIRST_CONTINUATION), *range(FIRST_LEAD, 256)):
        followers = min(3, int(FOLLOWERS[lead]))
        unused_bits = 6 * (3 - followers)
        own_bits = 7 if followers == 0 else 6 - followers
        mask[lead] = ((1 << (6 * followers + own_bits)) - 1) << unused_bits
        divisor[lead] = 1 << unused_bits
    return mask, divisor


_LEAD_MASK, _LEAD_DIVISOR = _lead_tables()


def without(g: Graph, codes: Value, starts: Value, gone: Value) -> tuple[Value, Value]:
    """Take some out.

    :param codes: int32 [C]. :param starts: int64 [N]. :param gone: bool [C].
    :return: int32 [D], int64 [N].
    """

    kept = ~gone
    before = counted(g, kept.cast(np.int32))
    return keep(g, codes, kept), look_up(g, before, starts).cast(np.int64)


def _expand(
    g: Graph, codes: Value, starts: Value, of_leads: Value, expansions: npt.NDArray[np.int32]
) -> tuple[Value, Value]:
    """Write out the characters that become several, Hangul syllables above all.

    :param of_leads: int32 [L], those codes among which such a character may be.
    :param expansions: int32 [characters, most codes].
    """

    def write_out(g: Graph) -> list[Value]:
        # Row 0 is for all others, which have one code, their own.
        row = g.op("Max", codes - DROPPED, np.array([0], np.int32))
        columns = []
        for i, column in enumerate(expansions.T):
            table = np.concatenate([[DROPPED], column]).astype(np.int32)
            columns.append(look_up(g, g.constant(table, f"expansion_{i}"), row))
        columns[0] = g.op("Where", row > 0, columns[0], codes)
        grid = g.concat([column.unsqueeze(1) for column in columns], axis=1).reshape(-1)
        return list(without(g, grid, starts * len(columns), grid.equals(DROPPED)))

    some = any_of(g, of_leads > DROPPED)
    codes, starts = g.if_(some, write_out, lambda g: [codes, starts])
    return codes, starts
