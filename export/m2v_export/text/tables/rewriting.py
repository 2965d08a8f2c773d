"""What becomes of a text as bytes, before its characters become codes.

A normalizer may do more than what a table of characters says: replace strings, compose, look up grapheme clusters. What
comes before that in a Sequence is done first, and the bytes are written anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tokenizers.normalizers import NFD, NFKD

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import AddedTable, added_table
from m2v_export.text.tables.composition import Composition, read_composition
from m2v_export.text.tables.marks import moving_marks
from m2v_export.text.tables.pages import Pages, paged
from m2v_export.text.tables.probe import CODE_POINTS, changed_characters

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Forms:
    """The bytes that characters of several bytes become.

    :ivar rows: of each code point, 0 for those that stay.
    :ivar sizes: int32 [rows], bytes. :ivar firsts: int32 [rows], the place of the first. :ivar bytes_: int32 [bytes].
    """

    rows: Pages
    sizes: Ints
    firsts: Ints
    bytes_: Ints


@dataclass(frozen=True, eq=False)
class Rewriting:
    """In this order. Added tokens are symbols from SYMBOLS on.

    :ivar added: added tokens, which nothing is done to.
    :ivar strings: what becomes one character of ASCII.
    :ivar forms: what characters become. :ivar composition: how they are composed.
    """

    added: AddedTable | None
    strings: AddedTable | None
    forms: Forms | None
    composition: Composition | None

    @property
    def searched(self) -> list[AddedTable]:
        return [table for table in (self.added, self.strings) if table is not None]


def read_rewriting(
    added: AddedTable | None,
    strings: Mapping[str, str],
    normalizer: Tokenizer | None,
    symbols: int,
    composes: str,
) -> Rewriting:
    """:param strings: what they become. :param normalizer: one that changes each character by itself; None for none.
    :param symbols: symbols are less. :param composes: NFC or NFKC, or nothing.
    :raises UnsupportedTokenizer: when marks may change their places.
    """
    coded = {tuple(string.encode()): ord(content) for string, content in strings.items()}
    forms = {} if normalizer is None else changed_characters(normalizer)
    if forms and not composes:
        stay = (chr(i) for i in range(CODE_POINTS) if not 0xD800 <= i < 0xE000 and chr(i) not in forms)
        moving = moving_marks(sorted({*stay, *"".join(forms.values())})) if _decomposes(forms) else []
        if moving:
            raise UnsupportedTokenizer(f"normalizer: it changes the place of marks such as U+{ord(moving[0]):04X}")
    if composes == "NFKC":
        compatible = _compatible()
        forms = {c: "".join(compatible.get(part, part) for part in form) for c, form in forms.items()}
        forms = compatible | forms
    several = {c: form for c, form in forms.items() if c >= "\x80"}
    return Rewriting(
        added,
        added_table(coded, symbols),
        _stored(several) if several else None,
        read_composition() if composes else None,
    )


@cache
def compatible_forms() -> Forms:
    """What NFKC does to characters before it composes."""
    return _stored({c: form for c, form in _compatible().items() if c >= "\x80"})


def _decomposes(forms: Mapping[str, str]) -> bool:
    return forms.get("\u1e69", "\u1e69") != "\u1e69"


def _compatible() -> dict[str, str]:
    """What characters become by compatibility alone: composition does the rest."""
    nfkd: Callable[[str], str] = NFKD().normalize_str
    nfd: Callable[[str], str] = NFD().normalize_str
    characters = (chr(i) for i in range(CODE_POINTS) if not 0xD800 <= i < 0xE000)
    return {c: nfkd(c) for c in characters if nfkd(c) != nfd(c)}


def _stored(forms: Mapping[str, str]) -> Forms:
    unique = ["", *sorted({*forms.values()})]
    row_of: dict[str, int] = {form: row for row, form in enumerate(unique) if row}
    if "" in forms.values():
        row_of[""] = len(unique)
        unique.append("")
    rows = np.zeros(CODE_POINTS, np.int32)
    rows[[ord(c) for c in forms]] = [row_of[form] for form in forms.values()]
    sizes = np.array([len(form.encode()) for form in unique], np.int32)
    bytes_ = np.frombuffer("".join(unique).encode(), np.uint8).astype(np.int32)
    return Forms(paged(rows), sizes, (np.cumsum(sizes) - sizes).astype(np.int32), bytes_)


def check_strings(strings: Mapping[str, str]) -> None:
    """Whether the order does not matter, in which strings are looked for."""
    for string, content in strings.items():
        others = [part for other in strings.items() for part in other if other[0] != string]
        if len(content) != 1 or content >= "\x80":
            raise UnsupportedTokenizer(f"normalizer: Replace of {string!r} by what is not one character of ASCII")
        if any(not {*string}.isdisjoint(part) for part in (content, *others)):
            raise UnsupportedTokenizer(f"normalizer: Replace of {string!r}, which others overlap")
