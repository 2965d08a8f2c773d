"""What a tokenizer does to each code point, asked of the tokenizer itself.

Never another library's Unicode tables: which characters are accents, capitals, punctuation or not assigned differs from
version to version, and only the tokenizer's own answer is exact.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import IntEnum

from tokenizers import Tokenizer

from m2v_export.text.errors import UnsupportedTokenizer

CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)

FENCE = "\ua000"
"""Stands between the characters of a probe: a letter (Yi) without case or accents that no other character becomes."""


class Kind(IntEnum):
    """What the pre-tokenizer makes of a normalized character."""

    SEPARATOR = 0
    """Removed; ends a word."""
    WORD = 1
    """Part of a word."""
    ISOLATED = 2
    """A word of its own."""
    SIGN = 3
    """Part of a word of signs: it goes together with its like alone."""


@dataclass(frozen=True, eq=False)
class Characters:
    """The tokenizer's answers, the exceptions alone: most code points become themselves and are parts of words.

    :ivar forms: what a code point becomes, where that is not itself alone. Spaces that the normalizer puts around what
        is ISOLATED are left out.
    :ivar kinds: the kind of each character in normalized text that is not WORD. What the normalizer puts between spaces
        is ISOLATED.
    :ivar made: the characters that ``forms`` are made of.
    :ivar clusters: what characters become that are normalized as a whole, not each alone.
    """

    forms: dict[str, str]
    kinds: dict[str, Kind]
    made: frozenset[str]
    clusters: dict[str, str] = field(default_factory=dict)

    def form(self, text: str) -> str:
        """The normal form of a text, but for the order of marks and spaces around what is ISOLATED."""
        return "".join(self.forms.get(c, c) for c in text)

    def kind(self, character: str) -> Kind:
        return self.kinds.get(character, Kind.WORD)

    def can_be_met(self, character: str) -> bool:
        """Whether normalized text can have it."""
        return character not in self.forms or character in self.made


def changed_characters(tokenizer: Tokenizer) -> dict[str, str]:
    """:return: what each code point becomes, but surrogates and FENCE; those that change."""
    return {c: form for page in code_point_pages() for c, form in _changed(tokenizer, page).items()}


def read_characters(
    tokenizer: Tokenizer, clusters: Sequence[str] = (), of_ascii: Tokenizer | None = None
) -> Characters:
    """Ask about every code point but surrogates, which UTF-8 cannot say.

    :param clusters: characters that are normalized as a whole.
    :param of_ascii: is asked what becomes of ASCII, where that is another tokenizer.
    :raises UnsupportedTokenizer: when the answers make no sense for a character alone.
    """
    forms = changed_characters(tokenizer)
    if of_ascii is not None:
        forms = {c: form for c, form in forms.items() if c >= "\x80"} | _changed(of_ascii, [*map(chr, range(0x80))])
    kinds: dict[str, Kind] = {}
    for page in code_point_pages():
        kinds |= _not_in_words(tokenizer, page)
    spaced = {c for c, form in forms.items() if len(form) > 2 and form[0] == " " == form[-1]}
    isolated = {forms[c].strip(" ") for c in spaced if len(forms[c].strip(" ")) == 1}
    cluster_forms = {c: c for c in clusters} | _changed(tokenizer, clusters)
    forms, cluster_forms = (
        {c: _without_spaces_around(form, isolated) for c, form in of.items()} for of in (forms, cluster_forms)
    )
    if any(kinds.get(form) == Kind.SEPARATOR for form in isolated):
        raise UnsupportedTokenizer("normalizer: it puts spaces around a separator")
    kinds |= dict.fromkeys(isolated, Kind.ISOLATED)
    # A character that becomes itself between spaces is no exception but in its kind.
    forms = {c: form for c, form in forms.items() if form != c}
    made = frozenset("".join([*forms.values(), *cluster_forms.values()]))
    return Characters(forms, kinds, made, cluster_forms)


def _without_spaces_around(form: str, isolated: Set[str]) -> str:
    """Leave out the spaces around what is a word of its own anyway."""
    if isolated.isdisjoint(form):
        return form
    spaced = f"{FENCE}{form}{FENCE}"
    alone = [1 <= i < len(spaced) and spaced[i] in isolated for i in range(len(spaced) + 1)]
    if any(alone[i] and not spaced[i - 1] == " " == spaced[i + 1] for i in range(len(spaced))):
        raise UnsupportedTokenizer("normalizer: it puts spaces around a character that it also makes without")
    kept = [c for i, c in enumerate(spaced) if not (c == " " and (alone[i - 1] or alone[i + 1]))]
    return "".join(kept[1:-1])


def code_point_pages() -> Iterator[str]:
    """All code points but surrogates and FENCE, some at a time."""
    for start in range(0, CODE_POINTS, PAGE_CHARACTERS):
        if start not in SURROGATES:
            yield "".join(map(chr, range(start, start + PAGE_CHARACTERS))).replace(FENCE, "")


PAGE_CHARACTERS = 256
"""Code points asked about in one call: most such runs have no exception, which one comparison shows."""


def _fenced(characters: Sequence[str]) -> str:
    return FENCE + FENCE.join(characters) + FENCE


def _changed(tokenizer: Tokenizer, characters: Sequence[str]) -> dict[str, str]:
    """Normalize characters, fenced off from each other; what becomes of those that change."""
    if tokenizer.normalizer is None:
        return {}
    fenced = _fenced(characters)
    normalized = str(tokenizer.normalizer.normalize_str(fenced))
    if normalized == fenced:
        return {}
    forms = normalized.split(FENCE)
    if len(forms) != len(characters) + 2 or forms[0] or forms[-1]:
        raise UnsupportedTokenizer(f"normalizer: it drops or makes U+{ord(FENCE):04X}, which the probe needs as it is")
    return {c: form for c, form in zip(characters, forms[1:-1], strict=True) if form != c}


def _not_in_words(tokenizer: Tokenizer, characters: str) -> dict[str, Kind]:
    """Pre-tokenize each character between two letters and see what is left of them.

    :raises UnsupportedTokenizer: when a character joins one neighbour and not the other.
    """
    spans = [span for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(_fenced(characters))]
    if len(spans) == 1:
        return {}
    begins, ends = ({span[side] for span in spans} for side in (0, 1))
    kinds = {}
    for i, character in enumerate(characters):
        before, after = 2 * i + 1, 2 * i + 2
        split = (before in begins, before in ends, after in begins, after in ends)
        if split not in _KIND_OF_SPLIT:
            raise UnsupportedTokenizer(f"pre_tokenizer: it splits U+{ord(character):04X} off on one side only")
        kinds[character] = _KIND_OF_SPLIT[split]
    apart = [c for c, kind in kinds.items() if kind == Kind.ISOLATED]
    return {c: kind for c, kind in kinds.items() if kind != Kind.WORD} | dict.fromkeys(
        apart, _kind_apart(tokenizer, apart)
    )


def _kind_apart(tokenizer: Tokenizer, characters: Sequence[str]) -> Kind:
    """Whether what is split off from letters is split off from its like, too.

    :raises UnsupportedTokenizer: when some are and others are not.
    """
    twice = "".join(c * 2 for c in characters)
    spans = len(tokenizer.pre_tokenizer.pre_tokenize_str(twice))
    if spans not in (len(twice), min(1, len(twice))):
        raise UnsupportedTokenizer(f"pre_tokenizer: it splits some of {characters[0]!r} to {characters[-1]!r} apart")
    return Kind.ISOLATED if spans > 1 else Kind.SIGN


_KIND_OF_SPLIT = {
    (False, True, True, False): Kind.SEPARATOR,
    (False, False, False, False): Kind.WORD,
    (True, True, True, True): Kind.ISOLATED,
}
"""By whether a word begins and ends before the character, and begins and ends after it."""
