"""What SentencePiece's normalizer does to several characters at once, asked of the tokenizer itself.

`tokenizers` looks up grapheme clusters (Unicode Standard Annex 29) of fewer than six bytes in the precompiled map. It
takes the shortest rule that a cluster begins with, and drops the rest of the cluster. All other clusters go character
by character. So a letter and its accent become one character, and an accent behind what has a rule is dropped.

Only clusters of two and three characters are so short. What a character does to its neighbours is told by texts in
which a later accent is dropped, or is not.
"""

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.hashing import PerfectHash, build_by_remainders
from m2v_export.text.tables.pages import PAGE, Pages, paged
from m2v_export.text.tables.probe import CODE_POINTS, FENCE, SURROGATES

MOST_BYTES = 5
"""Of a cluster that is looked up."""

JOINS, BREAKS, PREPENDS, PICTURE, EXTENDS, ZWJ = (1 << i for i in range(6))
"""What a character is: it joins the one before; it joins none, and none joins it; it joins the one behind; it is a
pictograph; it may be between a pictograph and a zero-width joiner; it is that joiner."""

CONSONANT, LINKER, IN_CONJUNCT = (1 << i for i in range(6, 9))
"""An Indic consonant; what links it with the next; that, and what may be beside it."""

HAS_RULE = 1 << 9
"""The map has a rule for the character alone."""

ACCENT = "\u0301"
"""It joins what is before it, has two bytes and no rule."""

SHORT, MARK, SIGN, LETTER = "\u00aa", "\uff9e", "\u2122", "\u0958"
"""Characters with rules, of two and three bytes: a letter; one that joins; a pictograph; an Indic consonant."""

VIRAMA, KA, HEART, JOINER = "\u094d", "\u0915", "\u2764", "\u200d"
"""A linker, a consonant, a pictograph, and the zero-width joiner."""


@dataclass(frozen=True, eq=False)
class Graphemes:
    """:ivar marks: what each code point is.
    :ivar hash: keys of one part, see ``cluster_key``. :ivar codes: int32 [slots].
    """

    marks: Pages
    hash: PerfectHash
    codes: npt.NDArray[np.int32]


def cluster_key(cluster: str) -> int:
    """:param cluster: two or three characters. :return: 21 bits for each, the first in the lowest."""
    return sum(ord(c) << (CHARACTER_BITS * i) for i, c in enumerate(cluster))


CHARACTER_BITS = 21


@dataclass(frozen=True, eq=False)
class Clusters:
    """What was found out about a map.

    :ivar marks: int32 [CODE_POINTS]. :ivar several: clusters that have a rule for several characters.
    :ivar flagged: characters without which no cluster of a text matters.
    """

    marks: npt.NDArray[np.int32]
    several: Sequence[str]
    flagged: frozenset[str]


def read_clusters(step: Mapping[str, Any]) -> Clusters:
    """:param step: the normalizer ``Precompiled``, from tokenizer.json.

    :raises UnsupportedTokenizer: when the map has no rules to find out with what characters do to their neighbours.
    """
    normalize = _normalizer(step)
    rules = {
        key.decode(): form for key, form in _rules(base64.b64decode(step["precompiled_charsmap"])) if _is_text(key)
    }
    for character in (SHORT, MARK, SIGN, LETTER):
        if character not in rules or normalize(character + ACCENT) != rules[character]:
            raise UnsupportedTokenizer(f"normalizer: Precompiled without a rule for U+{ord(character):04X}")
    marks = np.zeros(CODE_POINTS, np.int32)
    everything = [*_pages()]
    for bit, before, behind, told in _PROBES:
        # What may be in the middle of a cluster joins what is before it.
        joining = "".join(map(chr, np.flatnonzero(marks & JOINS)))
        for page in [joining] if bit in (EXTENDS, LINKER, IN_CONJUNCT) else everything:
            forms = normalize(FENCE + "".join(f"{before}{c}{behind}{FENCE}" for c in page)).split(FENCE)[1:-1]
            if len(forms) != len(page):
                raise UnsupportedTokenizer(f"normalizer: it drops or makes U+{ord(FENCE):04X}")
            marks[[ord(c) for c, form in zip(page, forms, strict=True) if told(form)]] |= bit
    marks[[ord(key) for key in rules if len(key) == 1]] |= HAS_RULE
    marks[ord(JOINER)] |= ZWJ
    if normalize("\r\n").strip(" "):
        raise UnsupportedTokenizer("normalizer: Precompiled keeps line breaks")
    several = sorted(key for key in rules if len(key) > 1 and len(key.encode()) <= MOST_BYTES)
    return Clusters(marks, several, _flagged(marks, several))


def _ends_with_accent(form: str) -> bool:
    """The accent stays where it is in a cluster of more bytes than are looked up."""
    return form.endswith(ACCENT)


_PROBES: tuple[tuple[int, str, str, Callable[[str], bool]], ...] = (
    (JOINS, SHORT + ACCENT, "", lambda form: form[1:2] == ACCENT),
    (BREAKS, "", MARK + ACCENT, lambda form: not form.endswith(ACCENT)),
    (PREPENDS, "", SHORT + ACCENT, _ends_with_accent),
    (PICTURE, "", JOINER + SIGN + ACCENT, _ends_with_accent),
    (EXTENDS, HEART, JOINER + SIGN + ACCENT, _ends_with_accent),
    (CONSONANT, "", VIRAMA + LETTER + ACCENT, _ends_with_accent),
    (LINKER, KA, LETTER + ACCENT, _ends_with_accent),
    (IN_CONJUNCT, KA, VIRAMA + LETTER + ACCENT, _ends_with_accent),
)
"""A bit; what is put before and behind a character; whether what becomes of these tells that it has the bit."""


def _flagged(marks: npt.NDArray[np.int32], several: Sequence[str]) -> frozenset[str]:
    """Characters without which no cluster of a text matters: what joins a character that has a rule.

    Many scripts write vowels that join, of three bytes. They matter behind characters of one and two bytes alone. So
    these are flagged in their place, if they are not common.
    """
    rules_of_one = [
        *map(chr, np.flatnonzero(marks[:0x80] & HAS_RULE)),
        *(c for key in several for c in key[1:] if c > "߿"),
    ]
    wide = any(c.isprintable() or c > "߿" for c in rules_of_one)
    joining = [chr(c) for c in np.flatnonzero(marks & JOINS)]
    flagged = {c for c in joining if wide or len(c.encode()) == 2}
    if not wide:
        flagged |= {chr(c) for c in np.flatnonzero(marks[:0x800] & HAS_RULE) if c >= 0x80}
    return frozenset(flagged)


def read_graphemes(clusters: Clusters, codes: Mapping[str, int]) -> Graphemes:
    """:param codes: what clusters of several characters become."""
    keys = np.array([cluster_key(cluster) for cluster in codes], np.int64)
    table, slots = build_by_remainders(keys, keys)
    stored = np.zeros(table.slots, np.int32)
    stored[slots] = [*codes.values()]
    return Graphemes(paged(clusters.marks), table, stored)


def _pages() -> Iterator[str]:
    for start in range(0, CODE_POINTS, PAGE):
        if start not in SURROGATES:
            yield "".join(map(chr, range(start, start + PAGE))).replace(FENCE, "")


def _normalizer(step: Mapping[str, Any]) -> Callable[[str], str]:
    """The normalizer alone, without the steps behind it."""
    config = json.loads(Tokenizer(models.WordLevel({"a": 0}, "a")).to_str()) | {"normalizer": step}
    normalizer = Tokenizer.from_str(json.dumps(config)).normalizer
    return lambda text: str(normalizer.normalize_str(text))


def _rules(charsmap: bytes) -> Iterator[tuple[bytes, str]]:
    """The rules of SentencePiece's map: a double array in the format of Darts-clone, and forms that it points to.

    The size in bytes comes first. A unit of four bytes has a byte of a key in its lowest bits, whether a key ends in
    its bit 8, and an offset from bit 10 on, eight bits further left where bit 9 is set.
    """
    (size,) = struct.unpack_from("<I", charsmap)
    units = struct.unpack_from(f"<{size // 4}I", charsmap, 4)
    forms = charsmap[4 + size :]

    def offset(unit: int) -> int:
        return (unit >> 10) << ((unit & 1 << 9) >> 6)

    waiting = [(offset(units[0]), b"")]
    while waiting:
        node, key = waiting.pop()
        for byte in range(1, 256):
            place = node ^ byte
            if place < len(units) and units[place] & (1 << 31 | 0xFF) == byte:
                longer, following = key + bytes([byte]), place ^ offset(units[place])
                if units[place] >> 8 & 1:
                    begin = units[following] & (1 << 31) - 1
                    yield longer, forms[begin : forms.index(0, begin)].decode()
                if len(longer) < MOST_BYTES:
                    waiting.append((following, longer))


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
