"""``OnnxStaticModel``: the runtime behind model2vec's interface."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypedDict, Unpack

import numpy as np
import onnxruntime

from m2v_onnx.batching import RUN_BYTES, batches, default_threads, in_order, pick, similar
from m2v_onnx.bundle import ModelFiles
from m2v_onnx.errors import MissingExtraError
from m2v_onnx.locate import LocateOptions, locate
from m2v_onnx.metadata import Metadata
from m2v_onnx.session import PoolingGraph, Provider, SessionConfig, Vectors
from m2v_onnx.tokens import TokenizersTokens, split

BATCH_SIZE = 1024
"""Texts tokenized at a time, as in model2vec."""

DEFAULT_MAX_LENGTH = 512
"""Tokens; for a graph of others whose config says nothing, as in model2vec."""


class Unset:
    """The type of ``UNSET``: a parameter that was not given, where None has a meaning of its own."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset()


class RuntimeOptions(TypedDict, total=False):
    """How a model runs.

    :ivar providers: onnxruntime's execution providers; the CPU by default.
    :ivar threads: batches worked on at once; by default the cores that the process may use.
    :ivar session_options: an ``onnxruntime.SessionOptions``; by default one thread a run.
    """

    providers: Sequence[Provider]
    threads: int | None
    session_options: onnxruntime.SessionOptions | None


class LoadOptions(LocateOptions, RuntimeOptions, total=False):
    """All that ``from_pretrained`` takes besides the model.

    :ivar normalize: whether vectors are divided by their L2 norm; the model's own setting by default.
    :ivar max_length: tokens that a text is truncated to, None for no limit; the model's own setting by default.
    """

    normalize: bool | None
    max_length: int | Unset | None


class OnnxStaticModel:
    """A static embedding model in onnxruntime, with the names of model2vec's ``StaticModel``.

    It may be used from several threads at once, pickled and used after a fork: it opens its files anew there.

        >>> from m2v_onnx import OnnxStaticModel
        >>> model = OnnxStaticModel.from_pretrained("minishlab/potion-base-2M")
        >>> model.encode(["It's dangerous to go alone!", "Take this."]).shape
        (2, 64)

    :ivar normalize: whether ``encode`` divides by the L2 norm where it is not told.
    :ivar max_length: tokens that ``encode`` truncates a text to where it is not told; None for no limit.
    :ivar files: the files that were opened.
    """

    def __init__(
        self,
        files: ModelFiles,
        *,
        normalize: bool | None = None,
        max_length: int | Unset | None = UNSET,
        **options: Unpack[RuntimeOptions],
    ) -> None:
        """Open a model's files; ``from_pretrained`` finds them first.

        :raises InvalidModelError: when a file is damaged.
        """
        self.files = files
        self._options = options
        self.threads = options.get("threads") or default_threads()
        if self.threads < 1:
            raise ValueError(f"threads: expected a number from 1, got {self.threads}")
        config = SessionConfig(
            providers=tuple(options.get("providers") or SessionConfig.providers),
            session_options=options.get("session_options"),
        )
        self._tokens = TokenizersTokens.read(files.tokenizer)
        self._graph = PoolingGraph(files.graph, config, self._tokens.unk_token_id)
        metadata = self._graph.metadata
        own_length = metadata.max_length if metadata else files.config.get("max_length", DEFAULT_MAX_LENGTH)
        self.normalize: bool = self._graph.normalizes if normalize is None else normalize
        self.max_length: int | None = _length(own_length if isinstance(max_length, Unset) else max_length)
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    @classmethod
    def from_pretrained(cls, path: str | Path, **options: Unpack[LoadOptions]) -> Self:
        """Find a model and open it.

        :param path: a bundle's folder, an .onnx file with its tokenizer, a Model2Vec folder (exported on first use),
            the model that comes with the package, or a Hub id.
        :raises ModelNotFoundError: when there is nothing by that name; says what was tried.
        :raises InvalidModelError: when its files are damaged.
        :raises MissingExtraError: when an optional package is needed for it.
        """
        where, how = _split_options(options)
        return cls(locate(path, **where), **how)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._graph.dim

    @property
    def unk_token_id(self) -> int | None:
        """The token that counts for truncation and not for the mean; None where the tokenizer has none."""
        return self._tokens.unk_token_id

    @property
    def median_token_length(self) -> int:
        """Code points; a text is cut to ``max_length`` times as many before it is tokenized."""
        return self._tokens.median_token_length

    @property
    def metadata(self) -> Metadata | None:
        """What the graph says of itself; None for one that others exported."""
        return self._graph.metadata

    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        show_progress_bar: bool = False,
        max_length: int | Unset | None = UNSET,
        normalize: bool | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Vectors:
        """Make the vectors of some texts.

        :param sentences: one text, or any iterable of them.
        :param show_progress_bar: show one (tqdm) on standard error.
        :param max_length: tokens that a text is truncated to, None for no limit; by default the model's.
        :param normalize: whether to divide by the L2 norm; by default the model's.
        :param batch_size: texts tokenized at a time.
        :return: float32 [N, dim]; [dim] for a single text. Zeros for a text without tokens.
        :raises TypeError: for something that is no text.
        :raises InvalidTextError: for a text with a lone surrogate.
        """
        if isinstance(sentences, str):
            length = self.max_length if isinstance(max_length, Unset) else _length(max_length)
            vector: Vectors = self._vectors([sentences], length, self.normalize if normalize is None else normalize)[0]
            return vector
        texts = sentences if isinstance(sentences, Sequence) else list(_texts(sentences))
        vectors = np.empty((len(texts), self.dim), np.float32)
        done = 0
        for batch in self.encode_iter(
            texts,
            show_progress_bar=show_progress_bar,
            max_length=max_length,
            normalize=normalize,
            batch_size=batch_size,
        ):
            vectors[done : done + len(batch)] = batch
            done += len(batch)
        return vectors

    def encode_iter(
        self,
        sentences: Iterable[str],
        *,
        show_progress_bar: bool = False,
        max_length: int | Unset | None = UNSET,
        normalize: bool | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Vectors]:
        """As ``encode``, for a stream of texts of any length: only a few batches are in memory.

        :return: float32 [batch_size, dim] a batch, in order; the last one may be shorter.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size: expected a number from 1, got {batch_size}")
        length = self.max_length if isinstance(max_length, Unset) else _length(max_length)
        unit = self.normalize if normalize is None else normalize
        total = len(sentences) if isinstance(sentences, Sequence) else None
        vectors_of = partial(self._vectors, max_length=length, normalize=unit)
        work = batches(_texts(sentences), batch_size)
        if self.threads == 1 or (total is not None and total <= batch_size):
            results: Iterator[Vectors] = map(vectors_of, work)
        else:
            results = in_order(self._threads(), vectors_of, work, 2 * self.threads)
        return _progress(results, total) if show_progress_bar else results

    def tokenize(self, sentences: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, truncated to the model's max_length, without special and unknown tokens.

        As in model2vec the text is not cut before: that is ``encode``'s.
        """
        texts = list(_texts(sentences))
        ids, offsets = self._tokens.ids(texts, None)
        truncated = [text[: self.max_length] for text in split(ids, offsets)]
        return [[i for i in text if i != self.unk_token_id] for text in truncated]

    def _vectors(self, texts: Sequence[str], max_length: int | None, normalize: bool) -> Vectors:
        """One batch, in as many runs as keep the rows at hand in cache."""
        ids, offsets = self._tokens.ids(texts, max_length)
        lengths = np.diff(offsets, append=len(ids))
        tokens = RUN_BYTES // (4 * self.dim)
        if len(texts) * int(lengths.max(initial=0)) <= tokens:
            return self._graph.vectors(ids, offsets, normalize)
        vectors = np.empty((len(texts), self.dim), np.float32)
        for group in similar(lengths, tokens):
            vectors[group] = self._graph.vectors(*pick(ids, offsets, lengths, group), normalize)
        return vectors

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self.threads, "m2v-onnx"), os.getpid()
        return self._pool

    def __getstate__(self) -> dict[str, Any]:
        if self._options.get("session_options") is not None:
            raise TypeError("a model with session_options cannot be pickled: onnxruntime's SessionOptions cannot be")
        return {
            "files": self.files,
            "normalize": self.normalize,
            "max_length": self.max_length,
            "options": dict(self._options),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["files"], normalize=state["normalize"], max_length=state["max_length"], **state["options"]
        )

    def __repr__(self) -> str:
        return f"OnnxStaticModel({str(self.files.graph)!r}, dim={self.dim})"


def _split_options(options: LoadOptions) -> tuple[LocateOptions, dict[str, Any]]:
    known = LoadOptions.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected option {name!r}: expected some of {', '.join(sorted(known))}")
    where = {key: value for key, value in options.items() if key in LocateOptions.__annotations__}
    how = {key: value for key, value in options.items() if key not in where}
    return LocateOptions(**where), how  # type: ignore[typeddict-item]


def _texts(sentences: Iterable[str]) -> Iterator[str]:
    """The texts, each checked to be one."""
    if isinstance(sentences, (str, bytes)):
        raise TypeError(f"expected a list of texts, got a single {type(sentences).__name__}: pass [text]")
    for i, text in enumerate(sentences):
        if not isinstance(text, str):
            raise TypeError(f"expected texts (str), got {type(text).__name__} at position {i}: pass a list of str")
        yield text


def _length(max_length: Any) -> int | None:
    if max_length is None or (isinstance(max_length, int) and not isinstance(max_length, bool) and max_length > 0):
        return max_length
    raise ValueError(f"max_length: expected a positive number of tokens or None, got {max_length!r}")


def _progress(results: Iterator[Vectors], batches_of: int | None) -> Iterator[Vectors]:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError("a progress bar", "export", "tqdm") from error
    with tqdm(total=batches_of, unit="text") as bar:
        for batch in results:
            bar.update(len(batch))
            yield batch
