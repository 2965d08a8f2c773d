"""The regular expressions that cut text into words, as rules for runs of characters of one kind.

Each expression is matched from where the match before it ended, and one of its ways fits everywhere, so the matches lie
end to end. All that tells them is the kind of each character (letters, numbers, white space and the rest), and what is
beside its run. The kinds are asked of the library of expressions that `tokenizers` has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, pre_tokenizers

from m2v_export.text.tables.pages import PAGE
from m2v_export.text.tables.probe import CODE_POINTS, SURROGATES

LETTER, NUMBER, OTHER, SPACE, BREAK, BOUNDARY, REST = range(7)
"""Kinds of characters. BOUNDARY: an added token, and the end. REST: what DeepSeek's expression has no word for, such as
controls."""

KINDS = 7

APART = 8
"""Added to the kinds of ideographs and kana, where these are cut off before all else. Kinds are less."""

UPPER, LOWER, MARK = range(1, 4)
"""Cases of letters, where these matter: APART times that is added to their kind. 0 is both, as ideographs are."""


@dataclass(frozen=True)
class Expression:
    """:ivar number: of the digits and other numbers in a row that are one word; None for all of them.
    :ivar spaces: whether white space of every kind joins the letters behind it, and a lone character that is no letter,
        number or white space; else only the blank does.
    :ivar blank_numbers: whether a blank joins the numbers behind it.
    :ivar breaks: whether line breaks end a word, and belong to the signs before them.
    :ivar any_case: of ``CONTRACTIONS``, as the expressions say it.
    :ivar marks: whether marks, such as accents of their own, are letters.
    :ivar cases: of GPT-4o's kind: words end before capitals, contractions belong to the word before, marks are both
        letters and signs, and signs take up slashes among line breaks.
    :ivar apart: of DeepSeek's kind: numbers, and ideographs and kana, are cut off first, and what is between them is
        matched by itself. A sign joins the letters behind it if all are ASCII. Of REST the last joins letters.
    :ivar contractions: whether there are any.
    """

    number: int | None
    spaces: bool
    blank_numbers: bool
    breaks: bool
    any_case: bool
    marks: bool = False
    apart: bool = False
    cases: bool = False
    contractions: bool = True


CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")
"""What is a word of its own behind an apostrophe."""

_LIKE_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_CAPITALS, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}*{_SMALL}+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    rf"[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}+{_SMALL}*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Called o200k, and gpt-oss's too."""

TEKKEN = GPT4O.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
"""Mistral's, since Mistral NeMo."""

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""ByteLevel has it built in: ``use_regex``."""

DEEPSEEK = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"""
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
)
"""One after the other, since DeepSeek V3."""

LIKE_DEEPSEEK = Expression(
    3, spaces=True, blank_numbers=False, breaks=True, any_case=False, marks=True, apart=True, contractions=False
)

EXPRESSIONS = {
    GPT2: Expression(None, spaces=False, blank_numbers=True, breaks=False, any_case=False),
    _LIKE_GPT4 % r"\p{N}": Expression(1, spaces=True, blank_numbers=False, breaks=True, any_case=True),
    _LIKE_GPT4 % r"\p{N}{1,3}": Expression(3, spaces=True, blank_numbers=False, breaks=True, any_case=True),
    _LIKE_GPT4.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"\s\p{L}", r"\s\p{L}\p{M}") % r"\p{N}": Expression(
        1, spaces=True, blank_numbers=False, breaks=True, any_case=True, marks=True
    ),
    GPT4O: Expression(3, spaces=True, blank_numbers=False, breaks=True, any_case=True, marks=True, cases=True),
    TEKKEN: Expression(
        1, spaces=True, blank_numbers=False, breaks=True, any_case=True, marks=True, cases=True, contractions=False
    ),
}
"""GPT-2's, which RoBERTa and ModernBERT have; Qwen 2's to 3's; Llama 3's; Qwen 3.5's; GPT-4o's; Mistral's Tekken."""


@cache
def kinds_of(expression: Expression) -> npt.NDArray[np.int32]:
    """:return: int32 [CODE_POINTS], not to be written to."""
    kinds = np.full(CODE_POINTS, REST if expression.apart else OTHER, np.int32)
    spaces = [(r"\s", SPACE), (r"[\r\n]", BREAK)] if expression.breaks else [(r"\s", SPACE)]
    letters = r"[\p{L}\p{M}]" if expression.marks else r"\p{L}"
    signs = [(r"[\p{P}\p{S}]", OTHER)] if expression.apart else []
    for pattern, kind in ((letters, LETTER), (r"\p{N}", NUMBER), *signs, *spaces):
        for begin, end in _everywhere(f"{pattern}+"):
            kinds[begin:end] = kind
    if expression.apart:
        for begin, end in _everywhere(DEEPSEEK[1]):
            kinds[begin:end] += np.where(kinds[begin:end] == NUMBER, 0, APART)
    if expression.cases:
        for pattern, case in ((r"[\p{Lu}\p{Lt}]", UPPER), (r"\p{Ll}", LOWER), (r"\p{M}", MARK)):
            for begin, end in _everywhere(f"{pattern}+"):
                kinds[begin:end] += APART * case
    kinds.flags.writeable = False
    return kinds


def _everywhere(pattern: str) -> Iterator[tuple[int, int]]:
    """:return: begins and ends of what matches, of all code points in their order."""
    for start in range(0, CODE_POINTS, PAGE):
        if start not in SURROGATES:
            for begin, end in _matches(pattern, "".join(map(chr, range(start, start + PAGE)))):
                yield start + begin, start + end


@cache
def contractions(expression: Expression) -> frozenset[str]:
    """What may be behind an apostrophe, in all cases that the expression takes."""
    if not expression.contractions:
        return frozenset()
    if not expression.any_case:
        return frozenset(CONTRACTIONS)
    found: set[str] = set()
    # Which characters are one but for their case, Unicode says; which of these count, the library.
    alike: dict[str, list[str]] = {letter: [] for letter in "".join(CONTRACTIONS)}
    for character in map(chr, range(CODE_POINTS)):
        folded = character.casefold()
        if folded in alike:
            alike[folded].append(character)
    pattern = f"(?i:{'|'.join(CONTRACTIONS)})"
    for contraction in CONTRACTIONS:
        ways = [""]
        for letter in contraction:
            ways = [way + other for way in ways for other in alike[letter]]
        found |= {way for way in ways if [*_matches(pattern, way)] == [(0, len(way))]}
    return frozenset(found)


def _matches(pattern: str, text: str) -> Iterator[tuple[int, int]]:
    """:return: begins and ends."""
    ends = 0
    for _, (begin, end) in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text):
        if begin > ends:
            yield ends, begin
        ends = end
    if ends < len(text):
        yield ends, len(text)
