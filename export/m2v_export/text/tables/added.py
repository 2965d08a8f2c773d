"""Added tokens as a table of states."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, models

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.probe import Characters, Kind, code_point_pages

NO_STATE, BEGINNING = 0, 1
"""States of the walk: no token goes on here; nothing was read yet."""


@dataclass(frozen=True, eq=False)
class AddedTable:
    """:ivar columns: int32 [symbols], the column of each symbol (byte or code); 0 if in no token.
    :ivar following: int32 [states, columns], the next state. From NO_STATE nothing follows.
    :ivar codes: int32 [states], the code of the token that ends in a state; 0 where none does.
    :ivar longest: symbols of the longest token.
    :ivar overlap: whether one may begin inside another.
    """

    columns: npt.NDArray[np.int32]
    following: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]
    longest: int
    overlap: bool


def added_table(tokens: Mapping[tuple[int, ...], int], symbols: int) -> AddedTable | None:
    """:param tokens: each token's code, by its symbols, of which there is at least one.
    :param symbols: symbols are less.
    """
    if not tokens:
        return None
    columns = np.zeros(symbols, np.int32)
    used = sorted({symbol for token in tokens for symbol in token})
    columns[used] = np.arange(1, len(used) + 1)
    states: dict[tuple[int, ...], int] = {(): BEGINNING}
    for token in tokens:
        for end in range(1, len(token) + 1):
            states.setdefault(token[:end], len(states) + 1)
    following = np.full((len(states) + 1, len(used) + 1), NO_STATE, np.int32)
    codes = np.zeros(len(states) + 1, np.int32)
    for path, state in states.items():
        if path:
            following[states[path[:-1]], columns[path[-1]]] = state
        codes[state] = tokens.get(path, 0)
    begins = {token[0] for token in tokens}
    overlap = any(symbol in begins for token in tokens for symbol in token[1:])
    return AddedTable(columns, following, codes, max(map(len, tokens)), overlap)


@dataclass(frozen=True, eq=False)
class SingleWords:
    """Tokens that count only where no letter, digit or mark is beside them (``single_word``).

    :ivar tokens: int32 [tokens], their codes.
    :ivar in_words: int32 [symbols], 1 for the symbols of characters that may not be beside them, else 0.
    """

    tokens: npt.NDArray[np.int32]
    in_words: npt.NDArray[np.int32]


def word_characters() -> set[str]:
    """Ask `tokenizers` which characters may not be beside a token with ``single_word``."""
    asked = Tokenizer(models.WordLevel({"<": 0}, "<"))
    asked.add_tokens([AddedToken("<>", single_word=True, normalized=False)])
    found: set[str] = set()
    for page in code_point_pages():
        text = "".join(f"{c}<> " for c in page)
        encoding = asked.encode(text)
        alone = {start for i, (start, _) in zip(encoding.ids, encoding.offsets, strict=True) if i == 1}
        found.update(c for i, c in enumerate(page) if 4 * i + 1 not in alone)
    return found


def kept_tokens(
    tokenizer: Tokenizer, tokens: Iterable[dict[str, Any]], *, single_words: bool = False
) -> list[dict[str, Any]]:
    """The added tokens that the tokenizer looks for.

    :param single_words: whether the caller has a way for normalized ones with ``single_word``.
    """
    kept = [token for token in tokens if token["content"]]
    for token in kept:
        name, content = f"added token {token['content']!r}", token["content"]
        if token["single_word"] and not (single_words and token["normalized"]):
            where = ", looked for in the text before it is normalized" if single_words else ""
            raise UnsupportedTokenizer(f"{name}: single_word{where}")
        if token["special"] and tokenizer.encode_special_tokens:
            raise UnsupportedTokenizer(f"{name}: encode_special_tokens")
        if content[0] == REPLACEMENT_CHARACTER:
            raise UnsupportedTokenizer(f"{name}: it begins with U+FFFD")
    return kept


def check_strips(tokens: Sequence[Mapping[str, Any]]) -> None:
    """``lstrip`` and ``rstrip`` need no care where white space ends a word anyway, as they take nothing else away, and
    so does the token. Only where a token begins or ends with white space itself could they take that away.
    """
    for token in tokens:
        for strip in ("lstrip", "rstrip"):
            if token[strip] and (token["normalized"] or any(t["content"] != t["content"].strip() for t in tokens)):
                name = f"added token {token['content']!r}"
                raise UnsupportedTokenizer(f"{name}: {strip} of a normalized token, or beside one with spaces")


REPLACEMENT_CHARACTER = "\ufffd"
"""What stands for bytes that are no UTF-8; so the graph looks for added tokens by their first bytes alone."""


def normalized_content(characters: Characters, content: str) -> str:
    """:raises UnsupportedTokenizer: where what it becomes cannot be found in codes."""
    normalized = characters.form(content)
    if not normalized or any(characters.kind(c) == Kind.SEPARATOR for c in normalized):
        raise UnsupportedTokenizer(f"added token {content!r}: normalized, and it holds white space or nothing")
    return normalized


def check_different(normalized: Mapping[str, str]) -> None:
    for form, count in Counter(normalized.values()).items():
        if count > 1:
            same = [content for content, its in normalized.items() if its == form]
            raise UnsupportedTokenizer(f"added tokens {same!r}: the same text once they are normalized")
