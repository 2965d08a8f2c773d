"""The codes that the graph works with: one small integer for each character that matters.

A code is an int32. Characters that are found in pieces of two and more characters are *narrow*: their numbers fit into
``width`` bits, so that several are packed into one integer. Characters that are only ever pieces by themselves are
*wide*; all that are in no piece share one number, as a word with one of them is unknown whatever it is.

    separator         -1
    narrow            1 .. 2**width - 2
    wide              2**width - 1 .. isolated - 1
    signs             sign + 1 .. isolated - 1, where there are any: narrow and wide ones as above
    isolated          3 * isolated .. 4 * isolated - 2
    dropped           DROPPED
    several codes     DROPPED + 1 + the row of the table of expansions

``isolated`` is a power of two, which a separator's bits contain too: one bit of a code tells that no word goes on
after it. That bit added to the code that follows marks a word's begin, and makes no two codes equal: that is the
character's *node*, at which the search for pieces begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.probe import Characters, Kind

SEPARATOR = -1
"""The code of what ends a word."""

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
    :ivar isolated: a bit of the codes that are words of their own: punctuation, ideographs and added tokens. No word
        has such a code inside.
    :ivar codes: the code of each character that is found in a piece.
    :ivar foreign_word: the code of all other characters that are part of words.
    :ivar foreign_isolated: the code of all others that are words of their own.
    :ivar added: the code of each added token, by its content.
    :ivar end: the code after the last text.
    :ivar hole: the code of nothing, in a word; see ``stages.normalize.in_place``.
    :ivar sign: the bit of signs (``Kind.SIGN``), half of ``isolated``, so that all other parts of words are less; 0
        where the tokenizer knows none.
    :ivar foreign_sign: the code of all other signs.
    """

    width: int
    isolated: int
    codes: dict[str, int]
    foreign_word: int
    hole: int
    foreign_isolated: int
    added: dict[str, int]
    end: int
    sign: int = 0
    foreign_sign: int = 0

    @property
    def first_added(self) -> int:
        """The least code of an added token; all other codes of characters are less."""
        return min(self.added.values(), default=self.size)

    @property
    def packed(self) -> int:
        """How many narrow codes an int32 holds that is not negative."""
        return 31 // self.width

    @property
    def size(self) -> int:
        """Codes of characters are less than the last one, which ``indices_of`` gives a separator."""
        return 4 * self.isolated

    @property
    def nodes(self) -> int:
        """Nodes of characters are less, but for a separator's."""
        return self.size + self.isolated

    def code(self, character: str, kind: Kind) -> int:
        if kind == Kind.SEPARATOR:
            return SEPARATOR
        found = self.codes.get(character)
        if found is not None:
            return found
        return {Kind.WORD: self.foreign_word, Kind.SIGN: self.foreign_sign}.get(kind, self.foreign_isolated)


def read_alphabet(characters: Characters, pieces: Iterable[str], added: Iterable[str]) -> Alphabet:
    """:param pieces: those of which all characters can be met in normalized text.
    :param added: contents of the added tokens.
    :raises UnsupportedTokenizer: when there are more characters in pieces than codes.
    """
    pieces, added = list(pieces), list(added)
    in_longer = sorted({c for piece in pieces if len(piece) > 1 for c in piece})
    narrow, narrow_signs = ([c for c in in_longer if characters.kind(c) == kind] for kind in (Kind.WORD, Kind.SIGN))
    most = max(len(narrow), len(narrow_signs))
    width = max(NARROWEST, (most + 1).bit_length())
    if width > WIDEST:
        raise UnsupportedTokenizer(f"model: {most} different characters in pieces of two and more, {2**WIDEST - 2} fit")
    others = sorted({*"".join(pieces)} - {*narrow} - {*narrow_signs})
    wide_signs, alone = ([c for c in others if characters.kind(c) == kind] for kind in (Kind.SIGN, Kind.ISOLATED))
    wide = [c for c in others if c not in {*wide_signs, *alone}]
    foreign_word = (1 << width) - 1 + len(wide)
    hole = foreign_word + 1
    # Three more that are isolated: the foreign ones, the end, and the last code, which no character has. One more in
    # words: a separator's code with the bit for a begin, which makes the greatest of them.
    isolated = 1 << max(hole + 1, len(alone) + len(added) + 2).bit_length()
    sign = 0
    if Kind.SIGN in characters.kinds.values():
        sign = max(isolated, 1 << ((1 << width) + len(wide_signs)).bit_length())
        isolated = 2 * sign
    first = 3 * isolated
    codes = {c: i + 1 for i, c in enumerate(narrow)}
    codes |= {c: (1 << width) - 1 + i for i, c in enumerate(wide)}
    codes |= {c: sign + i + 1 for i, c in enumerate(narrow_signs)}
    codes |= {c: sign + (1 << width) - 1 + i for i, c in enumerate(wide_signs)}
    codes |= {c: first + i for i, c in enumerate(alone)}
    foreign_sign = sign + (1 << width) - 1 + len(wide_signs)
    number = count(first + len(alone))
    foreign_isolated, end = next(number), next(number)
    added_codes = {content: next(number) for content in added}
    return Alphabet(width, isolated, codes, foreign_word, hole, foreign_isolated, added_codes, end, sign, foreign_sign)
