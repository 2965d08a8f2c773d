"""What a caller may give as texts, and what only looks like it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LIST_METHODS = ("to_pylist", "to_list", "tolist")
"""Of arrays of Arrow, of series of Polars and pandas, and of numpy's arrays: their values as Python's own."""


def as_texts(sentences: Any) -> Iterable[str]:
    """Look at what was given as texts, but not at each text.

    :return: the same, or for a column of pandas, Polars, Arrow or numpy a list of its values.
    :raises TypeError: for a single text, a table, a mapping, a set, and for what cannot be iterated; says what to pass
        instead.
    """
    if type(sentences) in (list, tuple):
        return sentences  # type: ignore[no-any-return]
    what = _name(sentences)
    if isinstance(sentences, (str, bytes)):
        raise TypeError(f"expected a list of texts, got a single {what}: pass [text]")
    if isinstance(sentences, Mapping):
        raise TypeError(f"expected a list of texts, got {what}: pass list(texts.values()), or list(texts) for the keys")
    if isinstance(sentences, (set, frozenset)):
        raise TypeError(f"expected a list of texts, got {what}, which has no order: pass sorted(texts), and keep that")
    columns = getattr(sentences, "column_names", None) or getattr(sentences, "columns", None)
    if columns is not None:
        names = [*columns][:5]
        raise TypeError(
            f"expected a list of texts, got {what}, a table: pass the column of the texts, table[{names[0]!r}] say;"
            f" its columns begin with {names}"
        )
    dimensions = getattr(sentences, "ndim", 1)
    if dimensions != 1:
        raise TypeError(f"expected a list of texts, got {what} of {dimensions} dimensions: pass one column of it")
    for method in LIST_METHODS:
        if hasattr(sentences, method):
            return getattr(sentences, method)()  # type: ignore[no-any-return]
    if not isinstance(sentences, Iterable):
        raise TypeError(f"expected a list of texts, got {what}: pass a list of str")
    return sentences


def checked_texts(texts: Sequence[str], first: int = 0) -> Sequence[str]:
    """The texts as Python's own str.

    :param first: the number of the first, for the error.
    :raises TypeError: for one that is no text, or missing.
    """
    if set(map(type, texts)) == {str}:  # a look at all of them in C
        return texts
    for i, text in enumerate(texts, first):
        if not isinstance(text, str):
            do = "it is missing: fill it, or leave it out" if _is_missing(text) else "pass a list of str"
            raise TypeError(f"expected texts (str), got {type(text).__name__} at position {i}: {do}")
    return [str.__str__(text) for text in texts]  # numpy's are of a class of their own


def _is_missing(value: Any) -> bool:
    """Whether it is None, not a number, or what pandas has for them."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, float) and value != value


def _name(value: Any) -> str:
    """As a reader would write it: pandas.DataFrame, not pandas.core.frame.DataFrame."""
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package in ("builtins", "collections") else f"{package}.{kind.__name__}"
