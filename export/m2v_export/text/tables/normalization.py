"""What becomes of each byte and code point, as tables: asked of the tokenizer, looked up by the graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.tables.added import AddedTable, SingleWords
from m2v_export.text.tables.alphabet import DROPPED, SEPARATOR, Alphabet
from m2v_export.text.tables.graphemes import Clusters, Graphemes, read_graphemes
from m2v_export.text.tables.pages import Pages, paged
from m2v_export.text.tables.probe import CODE_POINTS, Characters, Kind
from m2v_export.text.tables.rewriting import Rewriting
from m2v_export.text.tables.utf8 import AFTER, SYMBOLS


@dataclass(frozen=True, eq=False)
class CodeTables:
    """What becomes of each character.

    :ivar of_byte: int32 [258], codes of the ASCII characters, of AFTER and PADDING, and DROPPED for bytes from 128 on.
    :ivar of_code_point: codes.
    :ivar expansions: int32 [characters, most codes], codes of those characters that become several; DROPPED at the end.
    :ivar flagged: the first row of those without which no cluster matters, with what they become alone.
    :ivar graphemes: the clusters that are looked up as a whole; None for none.
    :ivar loose_bytes: int32 [258], codes of the bytes of characters that become SPELLED; None where none does.
    """

    of_byte: npt.NDArray[np.int32]
    of_code_point: Pages
    expansions: npt.NDArray[np.int32]
    flagged: int
    graphemes: Graphemes | None
    loose_bytes: npt.NDArray[np.int32] | None = None


SPELLED = DROPPED + 1
"""The code of what becomes its bytes. It has the place of the first expansion."""


def loose_bytes(text: str) -> str:
    """Characters that stand for the bytes of a text: surrogates, which no text has."""
    return "".join(map(loose_byte, text.encode()))


def loose_byte(byte: int) -> str:
    return chr(0xDC00 + byte)


@dataclass(frozen=True, eq=False)
class Normalization:
    """:ivar alphabet: the codes of characters.
    :ivar codes: bytes and code points to codes.
    :ivar added: the added tokens that are looked for in the bytes.
    :ivar normalized: those that are looked for in the codes.
    :ivar mark_classes: see ``marks.classes_of``.
    :ivar rewriting: what is done to the bytes before; None for nothing. It finds the added tokens then.
    :ivar single_words: of the tokens that are looked for in the codes; None for none.
    """

    alphabet: Alphabet
    codes: CodeTables
    added: AddedTable | None
    normalized: AddedTable | None
    mark_classes: npt.NDArray[np.int32] | None
    rewriting: Rewriting | None = None
    single_words: SingleWords | None = None


def read_codes(
    characters: Characters,
    alphabet: Alphabet,
    clusters: Clusters | None = None,
    flagged: str = "",
    spells: bool = False,
) -> CodeTables:
    """The codes of every byte and code point, and of clusters.

    :param flagged: characters that are looked at with care, though they become one code.
    :param spells: whether characters of several bytes without a code, and without a form of their own, are SPELLED.
    """
    expansions: dict[tuple[int, ...], int] = {(): 0} if spells else {}

    def codes_of(form: str) -> tuple[int, ...]:
        return tuple(alphabet.code(c, characters.kind(c)) for c in form)

    def code(form: str) -> int:
        codes = codes_of(form)
        if len(codes) == 1:
            return codes[0]
        return DROPPED if not codes else DROPPED + 1 + expansions.setdefault(codes, len(expansions))

    # All characters of a kind at once, then those that have a code or become something else.
    of_code_point = np.full(CODE_POINTS, alphabet.foreign_word, np.int32)
    for kind, usual in (
        (Kind.ISOLATED, alphabet.foreign_isolated),
        (Kind.SIGN, alphabet.foreign_sign),
        (Kind.SEPARATOR, SEPARATOR),
    ):
        of_code_point[[ord(c) for c, its in characters.kinds.items() if its == kind]] = usual
    of_code_point[[ord(c) for c, form in characters.forms.items() if not form]] = DROPPED
    changed = {*alphabet.codes, *(c for c, form in characters.forms.items() if form)}
    with_care = sorted({*flagged, *(clusters.flagged if clusters else ())})
    for character in sorted(changed.difference(with_care)):
        of_code_point[ord(character)] = code(characters.form(character))
    cluster_codes = {cluster: code(form) for cluster, form in characters.clusters.items()}
    rows = [*expansions, *(codes_of(characters.form(c)) for c in with_care)]
    of_code_point[[ord(c) for c in with_care]] = DROPPED + 1 + np.arange(len(expansions), len(rows))
    loose = None
    if spells:
        of_code_point[of_code_point == alphabet.foreign_word] = SPELLED
        loose = np.full(SYMBOLS, DROPPED, np.int32)
        loose[:AFTER] = [alphabet.codes.get(loose_byte(byte), DROPPED) for byte in range(AFTER)]
    of_byte = np.full(SYMBOLS, DROPPED, np.int32)
    of_byte[:128] = of_code_point[:128]
    of_byte[AFTER:] = alphabet.end, SEPARATOR
    longest = max(map(len, rows), default=0)
    table = np.array([[*codes, *[DROPPED] * (longest - len(codes))] for codes in rows], np.int32)
    graphemes = read_graphemes(clusters, cluster_codes) if clusters else None
    return CodeTables(
        of_byte, paged(of_code_point), table.reshape(len(rows), longest), len(expansions), graphemes, loose
    )
