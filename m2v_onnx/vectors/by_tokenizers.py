"""From texts to token ids, as model2vec makes them: cut, tokenize without special tokens, truncate.

The unknown token stays in the ids here; the graphs drop it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from m2v_onnx.errors import InvalidModelError, InvalidTextError, ModelNotFoundError
from m2v_onnx.limits import median_length
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.vectors.ascii_words import AsciiWords
from m2v_onnx.vectors.ragged import Ids, check_unicode, cut


@dataclass(frozen=True)
class TokenizersTokens:
    """Token ids of the `tokenizers` library. Nothing in here changes after loading, so threads may share it."""

    tokenizer: Tokenizer
    median_token_length: int
    unk_token_id: int | None
    words: AsciiWords | None

    @classmethod
    def read(cls, path: Path, metadata: Metadata | None = None) -> "TokenizersTokens":
        """Read tokenizer.json.

        :param metadata: a graph's, which says what is else counted over the vocabulary: that takes 30 ms.
        :raises ModelNotFoundError: when there is no such file.
        :raises InvalidModelError: when it is no tokenizer.
        """
        if not path.is_file():
            raise ModelNotFoundError(f"there is no {path}: copy the one that the model was exported with there")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise InvalidModelError(
                f"{path}: expected a tokenizer of the `tokenizers` library, got: {error}; copy it or export it again"
            ) from error
        if metadata is None:
            return cls.of(tokenizer)
        return cls.known(tokenizer, metadata.median_token_length, metadata.unk_token_id)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "TokenizersTokens":
        """Take a tokenizer over; it is set to neither truncate nor pad."""
        return cls.known(
            tokenizer, median_length([len(token) for token in tokenizer.get_vocab()]), find_unk_token_id(tokenizer)
        )

    @classmethod
    def known(cls, tokenizer: Tokenizer, median_token_length: int, unk_token_id: int | None) -> "TokenizersTokens":
        """As ``of``, where what is counted over the vocabulary is known."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer, median_token_length, unk_token_id, AsciiWords.of(tokenizer))

    def ids(self, texts: Sequence[str], max_length: int | None) -> tuple[Ids, Ids]:
        """Tokenize some texts.

        :param max_length: tokens a text at most; None for no limit.
        :return: int64 [T], the texts' ids end to end, and int64 [N], where each text starts.
        :raises InvalidTextError: for a text with a lone surrogate, or with a part that the tokenizer has no token for,
            where it has no unknown token either.
        """
        texts = cut(texts, max_length, self.median_token_length)
        check_unicode(texts)  # tokenizers does not in all its versions
        try:
            encodings = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except Exception:  # tokenizers raises bare Exception
            self._check_known(texts)
            raise
        lists = [encoding.ids[:max_length] for encoding in encodings]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        return np.fromiter(chain.from_iterable(lists), np.int64, lengths.sum()), np.cumsum(lengths) - lengths

    def _check_known(self, texts: Sequence[str]) -> None:
        """:raises InvalidTextError: for the first text that the tokenizer refuses."""
        for i, text in enumerate(texts):
            try:
                self.tokenizer.encode(text, add_special_tokens=False)
            except Exception as error:  # as above
                raise InvalidTextError(
                    f"cannot be tokenized: {text[:40]!r} has a part without a token, and the tokenizer has no unknown"
                    f" token ({error}): leave the text out, or take a model whose tokenizer has one",
                    number=i,
                ) from error

    def ids_of_one(self, text: str, max_length: int | None) -> Ids:
        """As ``ids``, for one text, and without the unknown token; a query's way. :return: int64 [T]."""
        if max_length is not None and len(text) > max_length * self.median_token_length:
            text = text[: max_length * self.median_token_length]
        ids = None if self.words is None else self.words.ids(text)
        if ids is None:
            ids = self._encoded(text)
        ids = ids[:max_length]
        unknown = self.unk_token_id
        if unknown in ids:
            ids = [i for i in ids if i != unknown]
        return np.array(ids, np.int64)

    def _encoded(self, text: str) -> list[int]:
        if not text.isascii():
            check_unicode([text])
        try:
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        except Exception:  # tokenizers raises bare Exception
            self._check_known([text])
            raise
        return ids


UNK_ID_WITHIN = 100
"""Bytes of a Unigram model's JSON in which its unknown token's id is told."""

_UNK_ID = re.compile(rb'"unk_id":(\d+)')


def find_unk_token_id(tokenizer: Tokenizer) -> int | None:
    """The token that model2vec drops: the tokenizer model's unknown one; None where it has none."""
    model = tokenizer.model
    if hasattr(model, "unk_token"):
        return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)
    # Unigram's has no name. As JSON the model begins with it; to read all of it takes 60 MB for 280,000 pieces.
    found = _UNK_ID.search(model.__getstate__(), 0, UNK_ID_WITHIN)
    return None if found is None else int(found[1])
