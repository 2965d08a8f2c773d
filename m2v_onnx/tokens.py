"""From texts to token ids, as model2vec makes them: cut, tokenize without special tokens, truncate.

The unknown token stays in the ids here; the graphs drop it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from m2v_onnx.errors import InvalidModelError, InvalidTextError

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenizersTokens:
    """Token ids of the `tokenizers` library. Nothing in here changes after loading, so threads may share it."""

    tokenizer: Tokenizer
    median_token_length: int
    unk_token_id: int | None

    @classmethod
    def read(cls, path: Path) -> "TokenizersTokens":
        """:raises InvalidModelError: when the file is no tokenizer."""
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise InvalidModelError(
                f"{path}: expected a tokenizer of the `tokenizers` library, got: {error}; copy it or export it again"
            ) from error
        return cls.of(tokenizer)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "TokenizersTokens":
        """Take a tokenizer over; it is set to neither truncate nor pad."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        lengths = [len(token) for token in tokenizer.get_vocab()]
        return cls(tokenizer, int(np.median(lengths)) if lengths else 0, find_unk_token_id(tokenizer))

    def ids(self, texts: Sequence[str], max_length: int | None) -> tuple[Ids, Ids]:
        """Tokenize some texts.

        :param max_length: tokens a text at most; None for no limit.
        :return: int64 [T], the texts' ids end to end, and int64 [N], where each text starts.
        :raises InvalidTextError: for a text with a lone surrogate.
        """
        try:
            encodings = self.tokenizer.encode_batch_fast(
                cut(texts, max_length, self.median_token_length), add_special_tokens=False
            )
        except (TypeError, UnicodeError):
            check_unicode(texts)
            raise
        lists = [encoding.ids[:max_length] for encoding in encodings]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        return np.fromiter(chain.from_iterable(lists), np.int64, lengths.sum()), np.cumsum(lengths) - lengths


def cut(texts: Sequence[str], max_length: int | None, median_token_length: int) -> Sequence[str]:
    """The first ``max_length * median_token_length`` code points of each text."""
    if max_length is None:
        return texts
    code_points = max_length * median_token_length
    return [text[:code_points] for text in texts]


def find_unk_token_id(tokenizer: Tokenizer) -> int | None:
    """The token that model2vec drops: the tokenizer model's unknown one; None where it has none."""
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    if model["type"] == "Unigram":
        unk_id = model.get("unk_id")
        return None if unk_id is None else int(unk_id)
    unk_token = model.get("unk_token")
    return None if unk_token is None else tokenizer.token_to_id(unk_token)


def drop(ids: Ids, offsets: Ids, token_id: int | None) -> tuple[Ids, Ids]:
    """Leave one token out of flat ids.

    :return: int64 [T'], int64 [N].
    """
    if token_id is None:
        return ids, offsets
    kept = ids != token_id
    before = np.concatenate([[0], np.cumsum(kept)])
    return ids[kept], before[offsets]


def split(ids: Ids, offsets: Ids) -> list[list[int]]:
    """Flat ids as one list a text."""
    ends = [*offsets[1:].tolist(), len(ids)]
    flat = ids.tolist()
    return [flat[begin:end] for begin, end in zip(offsets.tolist(), ends, strict=True)]


def check_unicode(texts: Sequence[str]) -> None:
    """:raises InvalidTextError: for the first text that holds a lone surrogate."""
    for i, text in enumerate(texts):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidTextError(
                f"text {i} has a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start}, and is no"
                " Unicode text: pass text.encode('utf-8', 'replace').decode() or decode its bytes anew"
            ) from error
