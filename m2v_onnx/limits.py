"""How much of a text counts, how numbers are checked, and what stands for a parameter that was not given."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

DEFAULT_MAX_LENGTH = 512
"""Tokens; what model2vec 0.10 takes where a config says nothing."""


class Unset:
    """The type of ``UNSET``: a parameter that was not given, where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


def token_limit(max_length: Any) -> int | None:
    """:raises ValueError: for what is neither None nor a positive number of tokens."""
    if max_length is None:
        return None
    if is_integer(max_length) and max_length > 0:
        return int(max_length)
    raise ValueError(f"max_length: expected a positive number of tokens or None, got {max_length!r}")


def at_least_one(name: str, value: Any) -> int:
    if type(value) is int and value > 0:  # a query's way, where every call counts
        return value
    if is_integer(value) and value > 0:
        return int(value)
    raise ValueError(f"{name}: expected a number from 1, got {value!r}")


def is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def median_length(lengths: npt.ArrayLike) -> int:
    """Take a vocabulary's median token length as ``StaticModel`` of model2vec 0.10 does.

    :param lengths: integers [tokens], code points of each token of the whole vocabulary, added ones included.
    :return: code points; a text is cut to ``max_length`` times as many before it is tokenized. 0 without tokens.
    """
    counted = np.asarray(lengths)
    return int(np.median(counted)) if counted.size else 0
