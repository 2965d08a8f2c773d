"""What becomes of each byte and code point, as tables: asked of the tokenizer, looked up by the graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.tables.added import AddedTable
from m2v_export.text.tables.alphabet import DROPPED, SEPARATOR, Alphabet
from m2v_export.text.tables.probe import CODE_POINTS, Characters, Kind
from m2v_export.text.tables.utf8 import AFTER, SYMBOLS

PAGE = 256
"""Code points in a page of the table."""


MOST_SAID = 1 << 21
"""What four bytes can say is less, be it UTF-8 or not."""


@dataclass(frozen=True, eq=False)
class CodeTables:
    """What becomes of each character.

    :ivar of_byte: int32 [258], codes of the ASCII characters, of AFTER and PADDING, and DROPPED for bytes from 128 on.
    :ivar page: int32 [8192], where the page of a code point begins in ``of_code_point``; a page for all that four bytes
        can say, which is more than there are.
    :ivar of_code_point: int32 [pages * 256], codes.
    :ivar expansions: int32 [characters, most codes], codes of those characters that become several; DROPPED at the end.
    """

    of_byte: npt.NDArray[np.int32]
    page: npt.NDArray[np.int32]
    of_code_point: npt.NDArray[np.int32]
    expansions: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Normalization:
    """:ivar alphabet: the codes of characters.
    :ivar codes: bytes and code points to codes.
    :ivar added: the added tokens that are looked for in the bytes.
    :ivar normalized: those that are looked for in the codes.
    :ivar mark_classes: see ``marks.classes_of``.
    """

    alphabet: Alphabet
    codes: CodeTables
    added: AddedTable | None
    normalized: AddedTable | None
    mark_classes: npt.NDArray[np.int32] | None


def read_codes(characters: Characters, alphabet: Alphabet) -> CodeTables:
    """The codes of every byte and code point."""
    expansions: dict[tuple[int, ...], int] = {}

    def code(character: str) -> int:
        codes = tuple(alphabet.code(c, characters.kind(c)) for c in characters.form(character))
        if len(codes) == 1:
            return codes[0]
        return DROPPED if not codes else DROPPED + 1 + expansions.setdefault(codes, len(expansions))

    # All characters of a kind at once, then those that have a code or become something else.
    of_code_point = np.full(CODE_POINTS, alphabet.foreign_word, np.int32)
    for kind, usual in ((Kind.ISOLATED, alphabet.foreign_isolated), (Kind.SEPARATOR, SEPARATOR)):
        of_code_point[[ord(c) for c, its in characters.kinds.items() if its == kind]] = usual
    of_code_point[[ord(c) for c, form in characters.forms.items() if not form]] = DROPPED
    for character in sorted({*alphabet.codes, *(c for c, form in characters.forms.items() if form)}):
        of_code_point[ord(character)] = code(character)
    pages: dict[bytes, int] = {}
    page = [pages.setdefault(codes.tobytes(), len(pages)) * PAGE for codes in of_code_point.reshape(-1, PAGE)]
    of_paged = np.frombuffer(b"".join(pages), np.int32)
    of_byte = np.full(SYMBOLS, DROPPED, np.int32)
    of_byte[:128] = of_code_point[:128]
    of_byte[AFTER:] = alphabet.end, SEPARATOR
    longest = max(map(len, expansions), default=0)
    rows = [[*codes, *[DROPPED] * (longest - len(codes))] for codes in expansions]
    table = np.array(rows, np.int32).reshape(len(rows), longest)
    page += [0] * (MOST_SAID // PAGE - len(page))
    return CodeTables(of_byte, np.array(page, np.int32), of_paged, table)
