"""Token ids of nanotoken, an optional library: WordPiece alone, the same ids as `tokenizers`, many times faster."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from m2v_onnx.errors import InvalidModelError, MissingExtraError
from m2v_onnx.vectors.forks import FORKS
from m2v_onnx.vectors.ragged import Ids, check_unicode, cut

if TYPE_CHECKING:
    from nanotoken import WordPieceTokenizer


CACHE_ENTRIES = 1 << 17
"""Words that nanotoken remembers, for each thread: 20 MB of them. Its own limit is 2^20, 200 MB a thread, and no faster
on 100,000 English sentences."""


def _import() -> Any:
    """nanotoken's compiled module alone: the package around it imports an HTTP client, 27 ms that nothing here needs.

    It is the module that ``import nanotoken`` would bring, before or after this.
    """
    package = find_spec("nanotoken")
    spec = package and PathFinder.find_spec(_COMPILED, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return import_module("nanotoken")
    with _LOADING:
        if _COMPILED not in sys.modules:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[_COMPILED] = module
    return sys.modules[_COMPILED]


_COMPILED = "nanotoken.nanotoken_rs"
_LOADING = Lock()
"""A compiled module may be initialized once, and models are opened in threads too."""

if hasattr(os, "register_at_fork"):  # the child of a fork in the middle of it would wait for it forever
    os.register_at_fork(before=_LOADING.acquire, after_in_parent=_LOADING.release, after_in_child=_LOADING.release)


class NanotokenTokens:
    """As ``TokenizersTokens``. Threads may share it, and it may be used after a fork."""

    def __init__(
        self, content: bytes, tokenizer: "WordPieceTokenizer", median_token_length: int, unk_token_id: int | None
    ) -> None:
        """:param content: of tokenizer.json, from which a child of a fork makes a tokenizer of its own."""
        self.median_token_length, self.unk_token_id = median_token_length, unk_token_id
        self._content = content
        self._opened = os.getpid(), tokenizer
        self._inherited: WordPieceTokenizer | None = None

    @property
    def _tokenizer(self) -> "WordPieceTokenizer":
        """This process' own, or its parent's where that may be. To make another takes 50 to 100 ms."""
        process, tokenizer = self._opened
        if process != os.getpid() and not FORKS.may_use_tokenizer(process):
            self._inherited = tokenizer  # never closed here, as nobody knows what that waits for
            tokenizer = _import().WordPieceTokenizer.from_json(self._content)
            self._opened = os.getpid(), tokenizer
        return tokenizer

    @classmethod
    def read(cls, path: Path, median_token_length: int, unk_token_id: int | None) -> "NanotokenTokens":
        """:raises InvalidModelError: for a tokenizer that nanotoken does not have, of another kind than WordPiece say.
        :raises MissingExtraError: without nanotoken.
        """
        try:
            nanotoken = _import()
        except ImportError as error:
            raise MissingExtraError("tokenizer='nanotoken'", "fast", "nanotoken") from error
        # nanotoken has one limit for the whole process; a lower one is somebody's wish.
        nanotoken.set_cache_entries(min(CACHE_ENTRIES, nanotoken.get_cache_entries()))
        try:
            content = path.read_bytes()
            tokenizer = nanotoken.WordPieceTokenizer.from_json(content)
        except (ValueError, OSError) as error:
            raise InvalidModelError(f"{path}: nanotoken cannot read it: {error}; take another tokenizer") from error
        return cls(content, tokenizer, median_token_length, unk_token_id)

    def ids(self, texts: Sequence[str], max_length: int | None) -> tuple[Ids, Ids]:
        """As ``TokenizersTokens.ids``."""
        try:
            # Batches are in threads of their own already.
            ids, ends = self._tokenizer.encode_batch(
                cut(texts, max_length, self.median_token_length),
                add_special_tokens=False,
                max_length=max_length,
                parallel=False,
            )
        except (TypeError, UnicodeError):
            check_unicode(texts)
            raise
        return ids.astype(np.int64), ends[:-1]

    def ids_of_one(self, text: str, max_length: int | None) -> Ids:
        """As ``TokenizersTokens.ids_of_one``; a query's way, where every call counts."""
        if max_length is not None and len(text) > max_length * self.median_token_length:
            text = text[: max_length * self.median_token_length]
        process, tokenizer = self._opened
        if process != os.getpid():
            tokenizer = self._tokenizer
        try:
            ids = tokenizer.encode(text, add_special_tokens=False)
        except UnicodeError:
            check_unicode([text])
            raise
        if max_length is not None and len(ids) > max_length:
            ids = ids[:max_length]
        if self.unk_token_id in ids.tolist():  # faster than numpy's comparison, for a query
            ids = ids[ids != self.unk_token_id]
        return ids.astype(np.int64)
