"""The combining classes of marks."""

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
from tokenizers.normalizers import NFD

from m2v_export.text.tables.alphabet import Alphabet


def classes_of(alphabet: Alphabet) -> npt.NDArray[np.int32] | None:
    """The classes of the alphabet's marks. Marks in no piece need none: they make a word unknown in every order.

    :return: int32 [size], by code, 0 for what is no mark; None where no two can change their places.
    """
    found = mark_classes(sorted(alphabet.codes))
    if not found:
        return None
    classes = np.zeros(alphabet.size, np.int32)
    for mark, class_ in found.items():
        classes[alphabet.codes[mark]] = class_
    return classes


def moving_marks(characters: Iterable[str]) -> list[str]:
    """The characters that canonical decomposition may move past a mark, by the library's own NFD."""
    return [c for c in characters if any(_NFD.normalize_str(pair) != pair for pair in (c + LOW_MARK, HIGH_MARK + c))]


def mark_classes(characters: Iterable[str]) -> dict[str, int]:
    """Number the combining classes of those characters that canonical decomposition may change the order of.

    :return: for each of them the number of its class, from 1; in a text a mark moves before one of a higher class.
        Nothing where all have the same.
    """
    classes = numbered_classes([c for c in moving_marks(characters) if _NFD.normalize_str(c) == c])
    return classes if len(set(classes.values())) > 1 else {}


def numbered_classes(marks: Sequence[str]) -> dict[str, int]:
    """:param marks: those that canonical decomposition may change the order of, but not them.
    :return: the number of the class of each, from 1.
    """
    # In their order, and two beside each other are of different classes if these change their places.
    ordered = _NFD.normalize_str("".join(marks))
    differs = [_NFD.normalize_str(mark + before) == before + mark for before, mark in pairwise(ordered)]
    return dict(zip(ordered, accumulate(map(int, differs), initial=1), strict=False))


_NFD = NFD()


LOW_MARK, HIGH_MARK = "\u0334", "\u0345"
"""Marks of the lowest and the highest combining class, 1 and 240: every other mark moves past one of them."""
