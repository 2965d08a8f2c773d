"""The codes that the graph works with: one small integer for each character that matters.

A code is an int32. Characters that are found in pieces of two and more characters are *narrow*: their numbers fit into
``width`` bits, so that several are packed into one integer. Characters that are only ever pieces by themselves are
*wide*; all that are in no piece share one number, as a word with one of them is unknown whatever it is.

    SEPARATOR         -1
    narrow            number, 1 .. 2**width - 2
    wide              number, 2**width - 1 and more
    isolated          ISOLATED + number
    dropped           DROPPED
    several codes     DROPPED + 1 + the row of the table of expansions
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.probe import Characters, Kind

SEPARATOR = -1
"""The code of what ends a word; it has all bits, ISOLATED's too, which spares a comparison where words are split."""

ISOLATED = 1 << 28
"""Added to the numbers of punctuation, ideographs and added tokens: a word of their own."""

DROPPED = 1 << 29
"""What is removed. Greater than every code; what follows it are expansions."""

LEAD = 1 << 30
"""In the table of bytes alone: a character begins here that one byte does not tell."""

CANDIDATE = LEAD + 1
"""In the table of bytes alone: an added token may begin here."""

NARROWEST = 7
"""Fewest bits of a narrow code, enough for Latin script and digits."""

WIDEST = 15
"""Most bits of a narrow code: two are packed into 31 bits."""


@dataclass(frozen=True, eq=False)
class Alphabet:
    """:ivar width: bits of a narrow code.
    :ivar codes: the code of each character that is found in a piece.
    :ivar foreign_word: the code of all other characters that are part of words.
    :ivar foreign_isolated: the code of all others that are words of their own.
    :ivar added: the code of each added token, by its content.
    :ivar end: the code after the last text.
    :ivar numbers: numbers are less; the last is no character's.
    """

    width: int
    codes: dict[str, int]
    foreign_word: int
    foreign_isolated: int
    added: dict[str, int]
    end: int
    numbers: int

    @property
    def packed(self) -> int:
        """How many narrow codes an int32 holds that is not negative."""
        return 31 // self.width

    def code(self, character: str, kind: Kind) -> int:
        if kind == Kind.SEPARATOR:
            return SEPARATOR
        found = self.codes.get(character)
        if found is not None:
            return found
        return self.foreign_word if kind == Kind.WORD else self.foreign_isolated


def number_of(code: int) -> int:
    return code & (ISOLATED - 1)


def read_alphabet(characters: Characters, pieces: Iterable[str], added: Iterable[str]) -> Alphabet:
    """:param pieces: those of which all characters can be met in normalized text.
    :param added: contents of the added tokens.
    :raises ValueError: when there are more characters in pieces than codes.
    """
    pieces = list(pieces)
    narrow = sorted({c for piece in pieces if len(piece) > 1 for c in piece if characters.kind(c) == Kind.WORD})
    width = max(NARROWEST, (len(narrow) + 1).bit_length())
    if width > WIDEST:
        raise ValueError(f"model: {len(narrow)} different characters in pieces of two and more, {2**WIDEST - 2} fit")
    codes = {c: i + 1 for i, c in enumerate(narrow)}
    numbers = count((1 << width) - 1)
    for c in sorted({*"".join(pieces)} - {*narrow}):
        codes[c] = next(numbers) + (ISOLATED if characters.kind(c) == Kind.ISOLATED else 0)
    foreign_word, foreign_isolated, end = next(numbers), ISOLATED + next(numbers), ISOLATED + next(numbers)
    added_codes = {content: ISOLATED + next(numbers) for content in added}
    return Alphabet(width, codes, foreign_word, foreign_isolated, added_codes, end, next(numbers) + 1)


def numbers_of(g: Graph, codes: Value, alphabet: Alphabet) -> Value:
    """:param codes: int32 [P]. :return: int32 [P], below ``alphabet.numbers``: the last for a separator."""
    plain = g.op("BitwiseAnd", codes, ISOLATED - 1)
    return g.op("Min", plain, np.array(alphabet.numbers - 1, np.int32))
