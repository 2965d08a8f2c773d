"""``OnnxStaticModel``: the runtime behind model2vec's interface."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import InvalidModelError, InvalidTextError, MissingExtraError
from m2v_onnx.limits import DEFAULT_MAX_LENGTH, UNSET, Unset, at_least_one, token_limit
from m2v_onnx.models.bundle import ModelFiles
from m2v_onnx.models.format import CONFIG
from m2v_onnx.models.locate import LocateOptions, locate
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.batching import Workers, batches, default_threads, in_order, shared
from m2v_onnx.vectors.dtypes import BitOrder, VectorType, as_type
from m2v_onnx.vectors.encoder import TokenizerName, open_encoder
from m2v_onnx.vectors.session import Provider, SessionConfig, Vectors, Wanted
from m2v_onnx.vectors.texts import as_texts, checked_texts

BATCH_SIZE = 4096
"""Texts worked on at a time. model2vec has 1024; among more there are more of the same length."""

FEW_TEXTS = 256
"""So few are one batch in the caller's own thread: another one costs more than it gives."""

SHARES = 2
"""Batches a thread, where the number of texts is known: the last ones end at about the same time."""

SHARE = 128
"""Texts of a batch that a thread gets at least, where threads share one batch of a stream."""


ELSEWHERE = {
    # What model2vec does when it loads a model, and the exporter once.
    "dimensionality": "--dimensions of `m2v-onnx export` does that",
    "quantize_to": "--precision of `m2v-onnx export` does that",
    "vocabulary_quantization": "--vocabulary-quantization of `m2v-onnx export` does that",
    **dict.fromkeys(("dtype", "batch_size", "show_progress_bar"), "give it to `encode`"),
}
"""Options that are none of ``from_pretrained``, and where they belong."""


class RuntimeOptions(TypedDict, total=False):
    """How a model runs.

    :ivar providers: onnxruntime's execution providers; the CPU by default.
    :ivar threads: batches worked on at once; by default the cores that the process may use.
    :ivar session_options: an ``onnxruntime.SessionOptions``; by default one thread a run.
    :ivar tokenizer: where token ids come from: "nanotoken", "splintr", "graph", "tokenizers", or by default the first
        of them that serves.
    """

    providers: Sequence[Provider]
    threads: int | None
    session_options: onnxruntime.SessionOptions | None
    tokenizer: TokenizerName


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
        threads = options.get("threads")
        self.threads = default_threads() if threads is None else at_least_one("threads", threads)
        if not (normalize is None or isinstance(normalize, bool)):
            raise TypeError(f"normalize: expected True, False or None, got {normalize!r}")
        providers = options.get("providers") or SessionConfig.providers
        if isinstance(providers, str):
            raise TypeError(f"providers: expected a list, [{providers!r}] say, got {providers!r}")
        config = SessionConfig(
            providers=tuple(providers),
            session_options=options.get("session_options"),
            foreign=not files.manifest,
        )
        self._encoder = open_encoder(files, config, options.get("tokenizer") or "auto")
        metadata = self._encoder.metadata
        own_length = metadata.max_length if metadata else files.config.get("max_length", DEFAULT_MAX_LENGTH)
        self.normalize: bool = self._encoder.normalizes if normalize is None else normalize
        try:
            self.max_length: int | None = token_limit(own_length if isinstance(max_length, Unset) else max_length)
        except ValueError as error:
            if isinstance(max_length, Unset):
                raise InvalidModelError(f"{files.folder / CONFIG}: {error}") from error
            raise
        self._workers: Workers | None = None

    @classmethod
    def from_pretrained(cls, path: str | Path, **options: Unpack[LoadOptions]) -> Self:
        """Find a model and open it.

        :param path: a bundle's folder, an .onnx file with its tokenizer, a Model2Vec folder (exported on first use),
            the model that comes with the package, or a Hub id.
        :raises ModelNotFoundError: when there is nothing by that name; says what was tried.
        :raises InvalidModelError: when its files are damaged.
        :raises MissingExtraError: when an optional package is needed for it.
        """
        where, how = split_options(options)
        return cls(locate(path, **where), **how)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._encoder.dim

    @property
    def unk_token_id(self) -> int | None:
        """The token that counts for truncation and not for the mean; None where the tokenizer has none."""
        return self._encoder.unk_token_id

    @property
    def median_token_length(self) -> int:
        """Code points; a text is cut to ``max_length`` times as many before it is tokenized."""
        return self._encoder.median_token_length

    @property
    def metadata(self) -> Metadata | None:
        """What the graph says of itself; None for one that others exported."""
        return self._encoder.metadata

    @property
    def tokens_from(self) -> TokenizerName:
        """Where token ids come from: "nanotoken", "splintr", "graph" or "tokenizers"."""
        return self._encoder.tokens_from

    @property
    def tokens_from_reason(self) -> str:
        """Why they are from there, in words; which batches go another way, where some do."""
        return self._encoder.reason

    def encode(
        self,
        sentences: str | Iterable[str],
        *,
        show_progress_bar: bool = False,
        max_length: int | Unset | None = UNSET,
        normalize: bool | None = None,
        batch_size: int = BATCH_SIZE,
        dtype: VectorType = "float32",
        bitorder: BitOrder = "big",
    ) -> npt.NDArray[Any]:
        """Make the vectors of some texts.

        :param sentences: one text, or any iterable of them: a list, a generator, a column of pandas, Polars, Arrow or
            numpy.
        :param show_progress_bar: show one (tqdm) on standard error.
        :param max_length: tokens that a text is truncated to, None for no limit; by default the model's.
        :param normalize: whether to divide by the L2 norm; by default the model's.
        :param batch_size: texts tokenized at a time.
        :param dtype: "float32", "float16", "bfloat16", "int8" (each vector scaled to its largest value) or "binary" (a
            bit a dimension); docs/stores.md says which store takes which.
        :param bitorder: for "binary": "big", the first dimension in a byte's highest bit, or "little", for sqlite-vec.
        :return: float32, or the dtype, [N, dim]; [dim] for a single text. Zeros for a text without tokens.
        :raises TypeError: for something that is no text.
        :raises InvalidTextError: for a text with a lone surrogate.
        :raises InvalidModelError: when a file that is opened only now is damaged.
        """
        length = self.max_length if isinstance(max_length, Unset) else token_limit(max_length)
        wanted = self._kind(normalize)
        if isinstance(sentences, str):
            return as_type(self._encoder.vectors([sentences], length, wanted)[0], dtype, bitorder)
        size = at_least_one("batch_size", batch_size)
        if type(sentences) is list and len(sentences) == 1 and type(sentences[0]) is str and not show_progress_bar:
            # A query, without a look at what else it could be: a function more takes a microsecond in cold caches.
            return as_type(self._encoder.vectors(sentences, length, wanted), dtype, bitorder)
        given = as_texts(sentences)
        texts = given if isinstance(given, (list, tuple)) else list(given)
        if len(texts) <= FEW_TEXTS and len(texts) <= size and not show_progress_bar:
            return as_type(self._encoder.vectors(checked_texts(texts), length, wanted), dtype, bitorder)
        none = self._none_of(dtype, bitorder)
        vectors = np.empty((len(texts), *none.shape[1:]), none.dtype)
        done = 0
        # A share for each thread, but no more texts than asked for at a time.
        size = min(size, max(FEW_TEXTS, -(-len(texts) // (SHARES * self.threads))))
        results = self._batches(texts, size, length, wanted)
        for batch in _progress(results, len(texts)) if show_progress_bar else results:
            vectors[done : done + len(batch)] = as_type(batch, dtype, bitorder)
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
        dtype: VectorType = "float32",
        bitorder: BitOrder = "big",
    ) -> Iterator[npt.NDArray[Any]]:
        """As ``encode``, for a stream of texts of any length: only a few batches are in memory.

        Of an iterator, a generator say, nothing is read after a batch before that batch's vectors were handed out: its
        next texts may depend on them, or wait for them. The threads share each batch, so batches of some thousand texts
        are the fastest. A list is read some batches ahead.

        :return: float32, or the dtype, [batch_size, dim] a batch, in order; the last one may be shorter.
        """
        self._none_of(dtype, bitorder)
        results = self.results_iter(
            sentences,
            self._kind(normalize),
            show_progress_bar=show_progress_bar,
            max_length=max_length,
            batch_size=batch_size,
        )
        return (as_type(batch, dtype, bitorder) for batch in results)

    def results_iter(
        self,
        sentences: Iterable[str],
        wanted: Wanted,
        *,
        show_progress_bar: bool = False,
        max_length: int | Unset | None = UNSET,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Vectors]:
        """As ``encode_iter``, for vectors or for what a head makes of them.

        :param wanted: "mean", "unit" (divided by the L2 norm) or "head".
        :return: float32 [batch_size, width] a batch, in order; the last one may be shorter.
        """
        size = at_least_one("batch_size", batch_size)
        length = self.max_length if isinstance(max_length, Unset) else token_limit(max_length)
        given = as_texts(sentences)
        results = self._batches(given, size, length, wanted)
        total = len(given) if isinstance(given, Sequence) else None
        return _progress(results, total) if show_progress_bar else results

    def encode_counted(
        self, texts: Sequence[str], *, normalize: bool | None = None, max_length: int | Unset | None = UNSET
    ) -> tuple[Vectors, int]:
        """As ``encode``, all in the caller's own thread, and count the tokens: what a server tells its clients.

        :param texts: a list of them.
        :return: float32 [N, dim], and how many tokens all texts have, truncated and without unknown ones.
        """
        tokens = 0

        def add(more: int) -> None:
            nonlocal tokens
            tokens += more

        length = self.max_length if isinstance(max_length, Unset) else token_limit(max_length)
        vectors = self._encoder.vectors(checked_texts(texts), length, self._kind(normalize), add)
        return vectors, tokens

    def encode_as_sequence(
        self, sentences: str | Iterable[str], *, max_length: int | None = None
    ) -> Vectors | list[Vectors]:
        """Make a vector of each token, as model2vec's method of this name.

        :param max_length: tokens that a text is truncated to. As in model2vec there is no limit by default.
        :return: float32 [T, dim] for each text, without unknown tokens and not normalized; for a single text its array.
        """
        length = token_limit(max_length)
        if isinstance(sentences, str):
            return self._encoder.token_vectors([sentences], length)[0]
        return self._encoder.token_vectors(checked_texts(list(as_texts(sentences))), length)

    def tokenize(self, sentences: Sequence[str], *, max_length: int | Unset | None = UNSET) -> list[list[int]]:
        """The token ids of each text, truncated, without special and unknown tokens.

        As in model2vec the text is not cut before: that is ``encode``'s.

        :param max_length: tokens that a text is truncated to, None for no limit; by default the model's.
        """
        length = self.max_length if isinstance(max_length, Unset) else token_limit(max_length)
        return self._encoder.tokenize(checked_texts(list(as_texts(sentences))), length)

    def _none_of(self, dtype: VectorType, bitorder: BitOrder) -> npt.NDArray[Any]:
        """No vectors of a type: its numpy dtype and its width. :raises ValueError: when there is no such type."""
        return as_type(np.zeros((0, self.dim), np.float32), dtype, bitorder)

    def _kind(self, normalize: bool | None) -> Wanted:
        return "unit" if (self.normalize if normalize is None else normalize) else "mean"

    def _batches(self, texts: Iterable[str], size: int, max_length: int | None, wanted: Wanted) -> Iterator[Vectors]:
        """Batches of ``size`` texts, in their order, in the model's threads.

        Of a list some batches are worked on side by side. Anything else may be a stream, whose next text somebody
        gives when he has the vectors of the last ones: there nothing is read ahead of them.
        """
        vectors_of = partial(self._batch, max_length=max_length, wanted=wanted)
        if isinstance(texts, Sequence) or self.threads == 1:
            work = ((i * size, batch) for i, batch in enumerate(batches(texts, size)))
            if self.threads == 1:
                return map(vectors_of, work)
            return in_order(self._threads(), vectors_of, work, 2 * self.threads)
        # One share a thread: of more shares the overhead was seen to cost more than the last ones' even end gives.
        shares = shared(self._threads(), vectors_of, texts, size, max(SHARE, -(-size // self.threads)))
        return (batch[0] if len(batch) == 1 else np.concatenate(batch) for batch in shares)

    def _batch(self, numbered: tuple[int, Sequence[str]], max_length: int | None, wanted: Wanted) -> Vectors:
        """One batch of many; an error names the text by its place among all of them, from the number of the first."""
        first, texts = numbered
        try:
            return self._encoder.vectors(checked_texts(texts, first), max_length, wanted)
        except InvalidTextError as error:
            raise error.counted_from(first) from error.__cause__

    def _threads(self) -> Workers:
        if self._workers is None:
            self._workers = Workers(self.threads)
        return self._workers

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
        return f"OnnxStaticModel({str(self.files.folder)!r}, dim={self.dim}, tokens_from={self.tokens_from!r})"


def split_options(options: LoadOptions) -> tuple[LocateOptions, dict[str, Any]]:
    """Those for ``locate``, and those of ``OnnxStaticModel``. :raises TypeError: for one that there is not."""
    known = LoadOptions.__annotations__
    for name in options:
        if name not in known:
            hint = f" ({ELSEWHERE[name]})" if name in ELSEWHERE else _did_you_mean(name, known)
            raise TypeError(f"unexpected option {name!r}{hint}: expected some of {', '.join(sorted(known))}")
    where = {key: value for key, value in options.items() if key in LocateOptions.__annotations__}
    how = {key: value for key, value in options.items() if key not in where}
    return LocateOptions(**where), how  # type: ignore[typeddict-item]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, 1)
    return f" (do you mean {close[0]!r}?)" if close else ""


def _progress(results: Iterator[Vectors], batches_of: int | None) -> Iterator[Vectors]:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError("a progress bar", "export", "tqdm") from error
    with tqdm(total=batches_of, unit="text") as bar:
        for batch in results:
            bar.update(len(batch))
            yield batch
