"""Many texts as flat arrays: their tokens end to end, and where each text starts."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import InvalidTextError

Ids = npt.NDArray[np.int64]


def lengths_of(ids: Ids, offsets: Ids) -> Ids:
    """Tokens of each text: ``np.diff`` with an end takes four times as long for some texts. :return: int64 [N]."""
    lengths = np.empty(len(offsets), np.int64)
    if len(offsets):
        np.subtract(offsets[1:], offsets[:-1], out=lengths[:-1])
        lengths[-1] = len(ids) - offsets[-1]
    return lengths


def cut(texts: Sequence[str], max_length: int | None, median_token_length: int) -> Sequence[str]:
    """The first ``max_length * median_token_length`` code points of each text."""
    if max_length is None:
        return texts
    code_points = max_length * median_token_length
    return [text[:code_points] for text in texts]


def drop(ids: Ids, offsets: Ids, token_id: int | None) -> tuple[Ids, Ids]:
    """Leave one token out of flat ids.

    :return: int64 [T'], int64 [N].
    """
    if token_id is None:
        return ids, offsets
    return keep(ids, offsets, ids != token_id)


def keep(ids: Ids, offsets: Ids, kept: npt.NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """Leave tokens out of flat ids.

    :param kept: bool [T].
    :return: int64 [T'], int64 [N].
    """
    before = np.concatenate([[0], np.cumsum(kept)])
    return ids[kept], before[offsets]


def truncate(ids: Ids, offsets: Ids, max_length: int | None) -> tuple[Ids, Ids]:
    """The first ``max_length`` tokens of each text; all for None. :return: int64 [T'], int64 [N]."""
    lengths = lengths_of(ids, offsets)
    if max_length is None or int(lengths.max(initial=0)) <= max_length:
        return ids, offsets
    return keep(ids, offsets, np.arange(len(ids)) - np.repeat(offsets, lengths) < max_length)


def split(ids: Ids, offsets: Ids) -> list[list[int]]:
    """Flat ids as one list a text."""
    bounds, flat = [*offsets.tolist(), len(ids)], ids.tolist()
    return [flat[begin:end] for begin, end in pairwise(bounds)]


def check_unicode(texts: Sequence[str]) -> None:
    """Look for what no tokenizer takes.

    :raises InvalidTextError: for the first text that holds a lone surrogate.
    """
    for i, text in enumerate(texts):
        if text.isascii():
            continue
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidTextError(
                f"has a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start}, and is no"
                " Unicode text: pass text.encode('utf-8', 'replace').decode() or decode its bytes anew",
                number=i,
            ) from error
