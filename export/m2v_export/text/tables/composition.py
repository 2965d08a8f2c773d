"""Canonical composition (NFC) as tables.

A text is decomposed, its marks are sorted by their class, and it is composed again: a *starter*, which is a character
that is no mark, takes up what follows it, as long as there is one character for the two of them (The Unicode Standard,
section 3.11). All that is asked of the library, as its Unicode is older than Python's.

Nearly every text stays as it is. What may change it is one of these: a character that is never in such a text, one that
a starter may take up, right behind what may be a starter that takes up anything at all, or marks in the wrong order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from tokenizers.normalizers import NFC, NFD

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.hashing import PerfectHash, build_by_products
from m2v_export.text.tables.marks import HIGH_MARK, LOW_MARK, numbered_classes
from m2v_export.text.tables.pages import MOST_SAID, Pages, paged
from m2v_export.text.tables.probe import CODE_POINTS, FENCE, PAGE_CHARACTERS, SURROGATES

CLASSES = 1 << 8
"""Classes of marks are less, and so are the lowest bits of a character's traits: its class, 0 for a starter."""

TAKES, CONTINUES, SECOND, CHANGES, ROW = (CLASSES << i for i in range(5))
"""Of a character's traits the next bits: it begins, decomposed, with a starter that takes up something; it begins with
what may be taken up, or with a mark; it may be taken up as it is; it is never in a composed text. Above is its row in
the table of decompositions, 0 for none."""

KEY = (CODE_POINTS + 1) * MOST_SAID, MOST_SAID
"""What the code points of two characters are multiplied by, and added up, for their key. The first factor has odd
parts, so that both tell the lower bits, and keys of other pairs are as far away as there are code points."""

GONE = -1
"""In the place of a character that there is none of."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Composition:
    """:ivar traits: of each code point.
    :ivar of_ascii: int32 [128], the traits of the characters of one byte.
    :ivar decompositions: int32 [rows, most characters], of each code point and its class: ``code_point * CLASSES +
        class``; GONE behind them. The first row is no character's. What is decomposed into starters alone and composed
        to itself again has none: it may stay.
    :ivar hash: of int64 keys of two characters that become one, see ``KEY``. In its place there is the key + what they
        become.
    :ivar factor: what a key is multiplied by before it is hashed; the product wraps around.
    :ivar takers: characters that take up something, or may.
    :ivar restless: characters that are not in a composed text just where they were in the text: they become others, or
        others become them, or what is before takes them up.
    """

    traits: Pages
    of_ascii: Ints
    decompositions: Ints
    hash: PerfectHash
    factor: int
    takers: frozenset[str]
    restless: frozenset[str]

    def keeps(self, token: str) -> bool:
        """Whether a token is in a composed text just where it was in the text."""
        return self.restless.isdisjoint(token) and token[-1] not in self.takers


@cache
def read_composition() -> Composition:
    """Ask NFC and NFD of `tokenizers` about every code point but surrogates.

    :raises UnsupportedTokenizer: when they do what is not expected of them.
    """
    forms = _changed(_NFD.normalize_str)
    composed = {c: _NFC.normalize_str(form) for c, form in forms.items()}
    # A starter stays between these two marks, of the highest class and of the lowest.
    moving = _changed(_NFD.normalize_str, HIGH_MARK, LOW_MARK)
    classes = numbered_classes([c for c in moving if c not in forms])
    pairs: dict[tuple[str, str], str] = {}
    for c, form in forms.items():
        if composed[c] == c and len(form) > 1:
            pairs[_NFC.normalize_str(form[:-1]), form[-1]] = c
    seconds, roots = {second for _, second in pairs}, {forms[c][0] for c in pairs.values()}
    continuing = {*classes, *seconds}
    if any(len(first) != 1 or first in classes for first, _ in pairs) or max(classes.values()) >= CLASSES:
        raise UnsupportedTokenizer("normalizer: NFC, of a kind that is not known here")
    traits = np.zeros(CODE_POINTS, np.int32)

    def add(trait: int, characters: set[str]) -> None:
        traits[[ord(c) for c in characters]] += trait

    traits[[ord(c) for c in classes]] = [*classes.values()]
    takers = {*roots, *(c for c, form in forms.items() if form[0] in roots)}
    add(TAKES, takers)
    add(CONTINUES, {*continuing, *(c for c, form in forms.items() if form[0] in continuing)})
    add(SECOND, seconds)
    add(CHANGES, {c for c in forms if composed[c] != c})
    apart = [
        c for c, form in forms.items() if composed[c] != c or not continuing.isdisjoint(form[0]) or {*form} & {*classes}
    ]
    traits[[ord(c) for c in apart]] += ROW * np.arange(1, len(apart) + 1, dtype=np.int32)
    decompositions = np.full((len(apart) + 1, max(map(len, forms.values()))), GONE, np.int32)
    for row, c in enumerate(apart, 1):
        decompositions[row, : len(forms[c])] = [ord(part) * CLASSES + classes.get(part, 0) for part in forms[c]]
    factor, table = _hashed(pairs)
    made = {part for c, form in composed.items() if form != c for part in form}
    restless = {*forms, *made, *map(chr, np.flatnonzero(traits & CONTINUES))}
    return Composition(
        traits=paged(traits),
        of_ascii=traits[:128],
        decompositions=decompositions,
        hash=table,
        factor=factor,
        takers=frozenset(takers),
        restless=frozenset(restless),
    )


_NFC, _NFD = NFC(), NFD()


def _changed(normalize: Callable[[str], str], before: str = "", behind: str = "") -> dict[str, str]:
    """:return: what characters become, fenced off from each other, between two others; those that change alone."""
    forms: dict[str, str] = {}
    for start in range(0, CODE_POINTS, PAGE_CHARACTERS):
        if start not in SURROGATES:
            characters = "".join(map(chr, range(start, start + PAGE_CHARACTERS))).replace(FENCE, "")
            asked = [f"{before}{c}{behind}" for c in characters]
            fenced = FENCE.join(asked)
            answer = normalize(fenced)
            # Most pages do not change.
            if answer != fenced:
                answers = zip(characters, asked, answer.split(FENCE), strict=True)
                forms |= {c: of for c, was, of in answers if of != was}
    return forms


def _hashed(pairs: Mapping[tuple[str, str], str]) -> tuple[int, PerfectHash]:
    keys = np.array([ord(first) * KEY[0] + ord(second) * KEY[1] for first, second in pairs], np.int64)
    factor, table, slots = build_by_products(keys)
    stored = table.keys.copy()
    stored[0, slots] += [ord(c) for c in pairs.values()]
    return factor, replace(table, keys=stored)
