"""Where a text without words may be cut: between two characters that no merge puts together.

SentencePiece's BPE has no words: it merges a whole text. But a merge of two tokens puts the last character of one
beside the first of the other. Where no merge has two characters so, none ever reaches over them. What is before and
what is behind is merged as if each was alone: the ranks on one side change nothing on the other.

A table of all pairs of characters would be large. So many characters have one class, and a text is cut where no pair of
the two classes is put together. That makes fewer cuts, which is as right: only the words are longer.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.text.tables.probe import CODE_POINTS

CUT = 0
"""The class of characters that no merge has, and of added tokens and the end: all is cut before and behind them."""

ALONE, TOGETHER = 200, 55
"""Classes of one character, the ones that merges have most, and classes of several, by their code points."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """:ivar classes: classes are less.
    :ivar begins: int32 [classes * classes], by the class before and the class here, 1 where a word begins.
    """

    classes: int
    begins: Ints


def read_pairs(merges: Iterable[tuple[str, str]], apart: str = "") -> tuple[Pairs, Ints]:
    """:param merges: pairs of tokens. :param apart: a character that is always cut before.
    :return: the table, and int32 [CODE_POINTS], the class of each character.
    """
    pairs = {(left[-1], right[0]) for left, right in merges}
    most = [c for c, _ in Counter(c for pair in sorted(pairs) for c in pair).most_common()]
    alone, others = most[:ALONE], sorted(most[ALONE:])
    class_of = {c: CUT + 1 + i for i, c in enumerate(alone)}
    class_of |= {c: CUT + 1 + ALONE + i * TOGETHER // len(others) for i, c in enumerate(others)}
    classes = max(class_of.values(), default=CUT) + 1
    begins = np.ones((classes, classes), np.int32)
    for left, right in pairs:
        if right != apart:
            begins[class_of[left], class_of[right]] = 0
    of_code_point = np.full(CODE_POINTS, CUT, np.int32)
    of_code_point[[ord(c) for c in class_of]] = [*class_of.values()]
    return Pairs(classes, begins.reshape(-1)), of_code_point
