"""Token ids of splintr, an optional library: Unigram and BPE, the same ids as `tokenizers`, several times faster."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from m2v_onnx.errors import InvalidModelError, MissingExtraError
from m2v_onnx.vectors.ragged import Ids, check_unicode, cut, keep, truncate

if TYPE_CHECKING:
    from splintr import AnyTokenizer

KINDS = ("Unigram", "BPE")
"""nanotoken serves WordPiece, on which splintr differs."""

_OF_OTHERS = ("post_processor", "truncation", "padding")
"""Parts of tokenizer.json that splintr applies and model2vec does not."""

_UNK = "<unk>"
"""splintr takes a Unigram's unknown piece by this name, not by ``unk_id``."""


class SplintrTokens:
    """As ``TokenizersTokens``. Threads may share it."""

    def __init__(
        self,
        open_tokenizer: "Callable[[], AnyTokenizer]",
        median_token_length: int,
        unk_token_id: int | None,
        unknown: Sequence[int],
    ) -> None:
        """:param open_tokenizer: called now, and in the child of a fork.
        :param unknown: ids of which a run counts as one unknown token; splintr makes one a character.
        """
        self.median_token_length, self.unk_token_id = median_token_length, unk_token_id
        self._unknown, self._open = unknown, open_tokenizer
        self._first_process = os.getpid()
        self._opened = self._first_process, open_tokenizer()
        self._inherited: AnyTokenizer | None = None

    def _encode(self, texts: list[str]) -> tuple[Ids, Ids]:
        """:return: int64 [T], int64 [N]."""
        process, tokenizer = self._opened
        if process != os.getpid():
            self._inherited = tokenizer  # another thread may have had it locked when the process forked
            tokenizer = self._open()
            self._opened = os.getpid(), tokenizer
        if os.getpid() == self._first_process:
            ids, bounds = tokenizer.encode_batch_flat(texts)
            return np.frombuffer(ids, "<u4").astype(np.int64), np.frombuffer(bounds, "<u8").astype(np.int64)[:-1]
        # splintr's threads are not in the child of a fork: a large batch would wait for them forever.
        parts = [tokenizer.encode_flat(text) for text in texts]
        lengths = np.array([len(part) // 4 for part in parts], np.int64)
        return np.frombuffer(b"".join(parts), "<u4").astype(np.int64), np.cumsum(lengths) - lengths

    @classmethod
    def read(cls, path: Path, median_token_length: int, unk_token_id: int | None) -> "SplintrTokens":
        """:raises InvalidModelError: for a tokenizer that splintr does not have, WordPiece say.
        :raises MissingExtraError: without splintr.
        """
        try:
            import splintr
        except ImportError as error:
            raise MissingExtraError("tokenizer='splintr'", "fast", "splintr-rs") from error
        unknown: list[int] = []

        def open_tokenizer() -> "AnyTokenizer":
            content, unknown[:] = _for_splintr(path)
            return splintr.from_json_bytes(content)

        try:
            return cls(open_tokenizer, median_token_length, unk_token_id, unknown)
        except (ValueError, OSError, KeyError, AttributeError) as error:
            raise InvalidModelError(f"{path}: splintr cannot read it: {error}; take another tokenizer") from error

    def ids(self, texts: Sequence[str], max_length: int | None) -> tuple[Ids, Ids]:
        """As ``TokenizersTokens.ids``."""
        texts = list(cut(texts, max_length, self.median_token_length))
        try:
            ids, offsets = self._encode(texts)
        except (TypeError, UnicodeError):
            check_unicode(texts)
            raise
        if self._unknown and self.unk_token_id is not None:
            ids, offsets = fuse(ids, offsets, self._unknown, self.unk_token_id)
        return truncate(ids, offsets, max_length)

    def ids_of_one(self, text: str, max_length: int | None) -> Ids:
        """As ``TokenizersTokens.ids_of_one``."""
        ids = self.ids([text], max_length)[0]
        return ids if self.unk_token_id is None else ids[ids != self.unk_token_id]


def _for_splintr(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """tokenizer.json as splintr must have it, and the ids of which a run is one unknown token.

    :raises InvalidModelError: for another kind than Unigram or BPE.
    """
    config: dict[str, Any] = json.loads(path.read_bytes())
    kind = config["model"].get("type")
    if kind not in KINDS:
        raise InvalidModelError(
            f"{path}: expected a tokenizer of kind {' or '.join(KINDS)} for splintr, got {kind!r}: take another"
        )
    config |= dict.fromkeys(_OF_OTHERS)
    unknown = _name_unknown(config) if kind == "Unigram" else ()
    return json.dumps(config).encode(), unknown


def _name_unknown(config: dict[str, Any]) -> tuple[int, ...]:
    """Add a piece by which splintr knows a Unigram's unknown characters, with an id that no other piece has.

    :param config: of tokenizer.json; changed in place.
    :return: the ids of which a run is one unknown token.
    """
    vocabulary, unk_id = config["model"]["vocab"], config["model"].get("unk_id")
    if unk_id is None:
        return ()
    added = {token["id"] for token in config.get("added_tokens", ())}
    for i, (piece, score) in enumerate(vocabulary):
        if piece == _UNK:  # an added token, which is found before the pieces are
            vocabulary[i] = [f"{_UNK}{i}", score]
    new = max(len(vocabulary), *(i + 1 for i in added)) if added else len(vocabulary)
    vocabulary.extend([f"{_UNK}{i}", 0.0] for i in range(len(vocabulary), new))
    vocabulary.append([_UNK, 0.0])
    config["model"]["unk_id"] = new
    # Where the unknown token is added, a text has it as it is written, and each one counts.
    return (new,) if unk_id in added else (new, unk_id)


def fuse(ids: Ids, offsets: Ids, unknown: Sequence[int], unk_token_id: int) -> tuple[Ids, Ids]:
    """Flat ids in which a run of unknown ones inside a text is one unknown token.

    :return: int64 [T'], int64 [N].

    >>> fuse(np.array([7, 9, 9, 9, 9, 7]), np.array([0, 3]), [9], 1)[0].tolist()
    [7, 1, 1, 7]
    """
    is_unknown = np.isin(ids, unknown)
    if not is_unknown.any():
        return ids, offsets
    again = np.zeros(len(ids), bool)
    again[1:] = is_unknown[1:] & is_unknown[:-1]
    again[offsets[offsets < len(ids)]] = False  # a text begins
    return keep(np.where(is_unknown, unk_token_id, ids), offsets, ~again)
