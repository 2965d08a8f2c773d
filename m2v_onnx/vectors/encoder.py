"""A text's way to its vector: where its tokens come from, and which graph pools them.

Three ways lead to the same vectors: a fast library (nanotoken or splintr) and bag.onnx, text.onnx with the tokenizer
inside, `tokenizers` and bag.onnx. The one that was asked for is taken, else the fastest that is here: a fast library
for all batches; without one text.onnx or `tokenizers`, by what a batch costs on each (``costs``).
"""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from m2v_onnx.errors import InvalidModelError, InvalidTextError
from m2v_onnx.lazy import lazy_property
from m2v_onnx.models.bundle import ModelFiles
from m2v_onnx.models.format import BAG, EMBEDDING, GOLDEN, PROBES, TEXT, TOKENIZER
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.vectors.batching import RUN_BYTES, pick, similar
from m2v_onnx.vectors.by_graph import TextGraph
from m2v_onnx.vectors.ragged import Ids, check_unicode, cut, drop, lengths_of, split
from m2v_onnx.vectors.session import PoolingGraph, Session, SessionConfig, Vectors, Wanted

if TYPE_CHECKING:
    from m2v_onnx.vectors.costs import Ways

TokenizerName = Literal["auto", "nanotoken", "splintr", "graph", "tokenizers"]

FastLibrary = Literal["nanotoken", "splintr"]

OnTokens = Callable[[int], object]

_OUTPUT = [EMBEDDING]

RUN_CHARACTERS = 1 << 17
"""Of one run of text.onnx: twice as many bring nothing, half as many cost 10 % in starts of its kernels."""

ONE_BY_ONE = 4
"""Texts for which one.onnx, run for each, is faster than bag.onnx for all."""


class Tokens(Protocol):
    """A library that makes token ids."""

    @property
    def median_token_length(self) -> int: ...

    @property
    def unk_token_id(self) -> int | None: ...

    def ids(self, texts: Sequence[str], max_length: int | None) -> tuple[Ids, Ids]:
        """Cut, tokenize and truncate; the unknown token stays. :return: int64 [T], int64 [N]."""

    def ids_of_one(self, text: str, max_length: int | None) -> Ids:
        """As ``ids``, for one text, and without the unknown token. :return: int64 [T]."""


class Encoder(Protocol):
    """One of the ways. Threads may share it.

    :ivar tokens_from: its name. :ivar reason: why it is this one.
    :ivar dim: length of a vector.
    :ivar normalizes: whether vectors are normalized where the caller does not say.
    :ivar metadata: what the graph says of itself; None for one that others exported.
    """

    tokens_from: TokenizerName
    reason: str
    dim: int
    normalizes: bool

    @property
    def metadata(self) -> Metadata | None: ...

    @property
    def median_token_length(self) -> int: ...

    @property
    def unk_token_id(self) -> int | None: ...

    def vectors(
        self, texts: Sequence[str], max_length: int | None, wanted: Wanted, on_tokens: OnTokens | None = None
    ) -> Vectors:
        """:param on_tokens: gets how many tokens the texts have, truncated and without unknown ones; for some texts
            after others, so it adds up.
        :return: float32 [N, dim]; [N, outputs] of the head.
        """

    def token_vectors(self, texts: Sequence[str], max_length: int | None) -> list[Vectors]:
        """:return: float32 [T, dim] a text, a row a token; weighted, and not divided by a norm."""

    def tokenize(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        """Token ids, truncated and without the unknown one; long texts are not cut before."""


class BagEncoder:
    """Token ids of a library, pooled by bag.onnx or a graph that others exported; a query's by one.onnx."""

    def __init__(
        self,
        tokens_from: TokenizerName,
        tokens: Tokens,
        session: Session,
        open_bag: Callable[[], Session] | None = None,
        *,
        reason: str,
    ) -> None:
        """:param session: of one.onnx, or where there is none of the graph that pools.
        :param open_bag: opens the graph that pools, when it is first needed; None where the session is its.
        :raises InvalidModelError: when it is no graph of that kind.
        """
        self.tokens_from, self.reason = tokens_from, reason
        self._tokens = tokens
        self._one = None if open_bag is None else session
        self._open_bag = open_bag or (lambda: session)
        self.metadata = session.metadata
        self.dim = self.metadata.dim if self.metadata else self._graph.dim
        self.normalizes = self.metadata.normalize if self.metadata else self._graph.normalizes
        self._plain: Wanted = "unit" if self.normalizes else "mean"

    @lazy_property
    def _graph(self) -> PoolingGraph:
        return PoolingGraph(self._open_bag(), self._tokens.unk_token_id)

    @property
    def median_token_length(self) -> int:
        return self._tokens.median_token_length

    @property
    def unk_token_id(self) -> int | None:
        return self._tokens.unk_token_id

    def vectors(
        self, texts: Sequence[str], max_length: int | None, wanted: Wanted, on_tokens: OnTokens | None = None
    ) -> Vectors:
        one = self._one
        if one is not None and wanted == self._plain and 0 < len(texts) <= ONE_BY_ONE:
            if len(texts) == 1:
                return self._vector(one, texts[0], max_length, on_tokens)
            return np.concatenate([self._vector(one, text, max_length, on_tokens, i) for i, text in enumerate(texts)])
        ids, offsets = self._tokens.ids(texts, max_length)
        if on_tokens is not None:
            on_tokens(len(ids) if self.unk_token_id is None else int(np.count_nonzero(ids != self.unk_token_id)))
        lengths = lengths_of(ids, offsets)
        tokens = RUN_BYTES // (4 * self.dim)
        if len(texts) * int(lengths.max(initial=0)) <= tokens:
            return self._graph.vectors(ids, offsets, wanted)
        groups = similar(lengths, tokens)
        return _joined(groups, (self._graph.vectors(*pick(ids, offsets, lengths, group), wanted) for group in groups))

    def _vector(
        self, one: Session, text: str, max_length: int | None, on_tokens: OnTokens | None, number: int = 0
    ) -> Vectors:
        """:param number: of the text, for the error. :return: float32 [1, dim]."""
        try:
            ids = self._tokens.ids_of_one(text, max_length)
        except InvalidTextError as error:
            raise error.counted_from(number) from error.__cause__
        if on_tokens is not None:
            on_tokens(len(ids))
        vector: Vectors = one.run(_OUTPUT, {"input_ids": ids})[0]
        return vector

    def token_vectors(self, texts: Sequence[str], max_length: int | None) -> list[Vectors]:
        ids, offsets = drop(*self._tokens.ids(texts, max_length), self.unk_token_id)
        each = self._graph.vectors(ids, np.arange(len(ids)), "mean")  # a token is a text of its own
        return [each[begin:end] for begin, end in pairwise([*offsets.tolist(), len(ids)])]

    def tokenize(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        truncated = [text[:max_length] for text in split(*self._tokens.ids(texts, None))]
        return [[i for i in text if i != self.unk_token_id] for text in truncated]


SHARED_BYTES = 1 << 21
"""Of tokenizer.json: to read more takes longer than text.onnx takes for some thousand texts, and much more memory."""


class TextEncoder:
    """text.onnx, and a library for what that does not do or not as fast: another max_length than the graph's, and
    batches of few texts. Each is opened when it is first needed."""

    tokens_from: TokenizerName = "graph"

    def __init__(
        self,
        metadata: Metadata,
        open_graph: Callable[[], TextGraph],
        open_library: Callable[[], BagEncoder],
        *,
        reason: str,
        ways: "Ways | None" = None,
    ) -> None:
        """:param metadata: of any graph of the bundle.
        :param ways: what a batch costs; None where the library takes no batch for its speed.
        """
        self._open_graph, self._open_library = open_graph, open_library
        self.reason, self._ways = reason, ways
        self._most = 0 if ways is None else ways.most_texts(1)
        self.metadata = metadata
        self.dim, self.normalizes = metadata.dim, metadata.normalize
        self.median_token_length = metadata.median_token_length
        self.unk_token_id = metadata.unk_token_id

    @lazy_property
    def _graph(self) -> TextGraph:
        return self._open_graph()

    @lazy_property
    def _library(self) -> BagEncoder:
        return self._open_library()

    def vectors(
        self, texts: Sequence[str], max_length: int | None, wanted: Wanted, on_tokens: OnTokens | None = None
    ) -> Vectors:
        if max_length != self.metadata.max_length or self._for_library(texts):
            return self._library.vectors(texts, max_length, wanted, on_tokens)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        longest = int(lengths.max(initial=0))
        if max_length is not None and longest > max_length * self.median_token_length:
            # The graph would do it, but it gets all the bytes before.
            texts = cut(texts, max_length, self.median_token_length)
            longest = max_length * self.median_token_length
            lengths = np.minimum(lengths, longest)
        if len(texts) * longest <= RUN_CHARACTERS:
            return self._graph.vectors(texts, wanted, on_tokens)
        groups = similar(lengths, RUN_CHARACTERS)
        try:
            return _joined(
                groups, (self._graph.vectors([texts[i] for i in group.tolist()], wanted, on_tokens) for group in groups)
            )
        except InvalidTextError:
            check_unicode(texts)  # which of all the texts it is, not of its group
            raise

    def token_vectors(self, texts: Sequence[str], max_length: int | None) -> list[Vectors]:
        return self._library.token_vectors(texts, max_length)

    def _for_library(self, texts: Sequence[str]) -> bool:
        if self._ways is None or not 0 < len(texts) <= self._most:
            return False
        return self._ways.library_is_faster(len(texts), sum(map(len, texts)))

    def tokenize(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        if max_length != self.metadata.max_length:
            return self._library.tokenize(texts, max_length)
        if max_length is not None and max(map(len, texts), default=0) > max_length * self.median_token_length:
            return self._library.tokenize(texts, max_length)  # the graph would cut them
        return split(*self._graph.ids(texts))


def _joined(groups: Sequence[Ids], parts: Iterable[Vectors]) -> Vectors:
    """The results of groups in the texts' order.

    :param groups: indices of texts, each in one of them; at least one group.
    :param parts: float32 [texts, width] a group; made one after the other.
    """
    results: Vectors | None = None
    for group, part in zip(groups, parts, strict=True):
        if results is None:
            results = np.empty((sum(map(len, groups)), part.shape[1]), np.float32)
        results[group] = part
    assert results is not None
    return results


def open_encoder(files: ModelFiles, config: SessionConfig, tokenizer: TokenizerName) -> Encoder:
    """Open the first way that serves.

    :param tokenizer: "auto", or which one it must be.
    :raises InvalidModelError: when a file is damaged, or the model cannot go the way that was asked for.
    :raises ModelNotFoundError: when a file is missing.
    :raises MissingExtraError: when that way's package is not installed.
    """
    if tokenizer not in get_args(TokenizerName):
        expected = ", ".join(map(repr, get_args(TokenizerName)))
        raise ValueError(f"tokenizer: expected one of {expected}, got {tokenizer!r}")
    path = files.text
    if tokenizer == "graph" and path:
        return _text_encoder(Session(files.checked(path), config), files, config, ASKED_FOR)
    session = Session(files.checked(_query_graph(files, config) or files.graph), config)
    library = _fast_library(files) if tokenizer == "auto" else tokenizer
    if library in ("nanotoken", "splintr"):
        files.checked(files.tokenizer)
        reason = ASKED_FOR if tokenizer == library else FASTEST
        try:
            tokens = _checked_tokens(library, files, session.metadata)
            return _bag_encoder(library, tokens, session, files, config, reason)
        except InvalidModelError as error:  # another kind of tokenizer, or not the same
            if tokenizer == library:
                raise
            if isinstance(error, LibraryDiffers):
                warnings.warn(f"{error}; another tokenizer is used", stacklevel=2)
    if tokenizer == "auto" and path:
        from m2v_onnx.vectors.costs import ways_of  # here, as a fast library needs none of it

        files.checked(path)  # now rather than at the first batch
        if not find_spec("tokenizers"):
            return _text_encoder(Session(path, config), files, config, "no library for token ids is installed")
        ways = None if _reads_long(files) else ways_of(files.kind)
        return TextEncoder(
            _metadata(session),
            lambda: TextGraph(Session(files.checked(path), config)),
            lambda: _with_tokenizers(files, config, session),
            reason=_reason(files, ways),
            ways=ways,
        )
    if "utf8" in session.inputs and tokenizer != "tokenizers":
        reason = ASKED_FOR if tokenizer == "graph" else "the file that was opened has the tokenizer inside"
        return _text_encoder(session, replace(files, graph=files.folder / BAG), config, reason)
    if tokenizer == "graph":
        raise InvalidModelError(f"{files.folder} has no {TEXT}: export the model again, or take another tokenizer")
    reason = ASKED_FOR if tokenizer == "tokenizers" else f"there is no {TEXT}, and no fast library that serves"
    return _with_tokenizers(files, config, session, reason)


ASKED_FOR = "asked for by name"

FASTEST = "the fastest for batches of all sizes"


def _reason(files: ModelFiles, ways: "Ways | None") -> str:
    """Why text.onnx is taken.

    :param ways: what a batch costs; None where tokenizer.json is too large to be read for speed.
    """
    if ways is None:
        megabytes = files.manifest[TOKENIZER]["size"] / 1e6
        return f"the first vectors are there before a library has read the {megabytes:.1f} MB of {TOKENIZER}"
    counts = {characters: ways.most_texts(characters) for characters in TOLD_CHARACTERS}
    told = " or ".join(
        f"{count} text{'s' if count > 1 else ''} of {characters} characters"
        for characters, count in counts.items()
        if count
    )
    return f"the fastest that is installed; batches of up to {told} go to tokenizers" if told else FASTEST


TOLD_CHARACTERS = (80, 400)
"""Of a text: a sentence, and a passage."""


def _text_encoder(session: Session, files: ModelFiles, config: SessionConfig, reason: str) -> TextEncoder:
    """The graph for all it can do."""
    return TextEncoder(
        _metadata(session), lambda: TextGraph(session), lambda: _with_tokenizers(files, config), reason=reason
    )


def _metadata(session: Session) -> Metadata:
    """:raises InvalidModelError: when the graph is not ours."""
    if session.metadata is None:
        raise InvalidModelError(
            f"{session.path}: expected a graph that `m2v-onnx export` wrote: export the model again"
        )
    return session.metadata


class LibraryDiffers(InvalidModelError):
    """A fast library makes other token ids than the bundle's golden ones or probes, or these cannot be read."""


def _reads_long(files: ModelFiles) -> bool:
    """Whether tokenizer.json takes long to read."""
    return int(files.manifest.get(TOKENIZER, {}).get("size", 0)) > SHARED_BYTES


def _fast_library(files: ModelFiles) -> FastLibrary | None:
    """The one that may serve, where it is installed: bundles of Unigram and BPE models have probes."""
    if files.golden is None or not files.tokenizer.is_file():
        return None
    if files.text and _reads_long(files):
        return None  # text.onnx makes its first vectors before the library has read that
    if files.probes is not None:
        return "splintr" if find_spec("splintr") else None
    return "nanotoken" if find_spec("nanotoken") else None


def _checked_tokens(library: FastLibrary, files: ModelFiles, metadata: Metadata | None) -> Tokens:
    """A fast library, checked against the golden ids and the probes.

    :raises LibraryDiffers: when it makes other ids.
    """
    if files.golden is None or metadata is None:
        raise InvalidModelError(f"{files.folder} has no {GOLDEN} to check {library} with: export the model as a bundle")
    unk_token_id = metadata.unk_token_id
    if library == "splintr":
        from m2v_onnx.vectors.by_splintr import SplintrTokens

        if files.probes is None:
            raise InvalidModelError(
                f"{files.folder} has no {PROBES} to check splintr with, which Unigram and BPE models get: export the"
                " model again, or take another tokenizer"
            )
        tokens: Tokens = SplintrTokens.read(files.tokenizer, metadata.median_token_length, unk_token_id)
    else:
        from m2v_onnx.vectors.by_nanotoken import NanotokenTokens

        if unk_token_id is None:
            raise InvalidModelError(f"{files.tokenizer} has no unknown token: nanotoken needs one, take another")
        tokens = NanotokenTokens.read(files.tokenizer, metadata.median_token_length, unk_token_id)
    try:
        files.checked(files.golden)
        if files.probes is not None:
            files.checked(files.probes)
    except InvalidModelError as error:
        raise LibraryDiffers(f"{library} cannot be checked, for a file is damaged ({error})") from error
    _check_golden(tokens, library, files.golden, metadata)
    if files.probes is not None:
        _check_probes(tokens, library, files.probes)
    return tokens


def _check_golden(tokens: Tokens, library: str, path: Path, metadata: Metadata) -> None:
    try:
        texts = json.loads(path.read_bytes())["texts"]
    except (ValueError, KeyError) as error:
        raise LibraryDiffers(f"{library} cannot be checked, for {path} is damaged ({error})") from error
    found = tokens.ids([text["text"] for text in texts], metadata.max_length)
    for text, ids in zip(texts, split(*drop(*found, metadata.unk_token_id)), strict=True):
        if ids != text["input_ids"]:
            raise LibraryDiffers(f"{library} gives other token ids than {path} for {text['text'][:40]!r}")


def _check_probes(tokens: Tokens, library: str, path: Path) -> None:
    from m2v_onnx.vectors import probes  # here, for only fast libraries need it

    try:
        expected = probes.read(path.read_bytes())
    except InvalidModelError as error:
        raise LibraryDiffers(f"{library} cannot be checked, for {path} is of no use ({error})") from error
    text = probes.first_difference(expected, probes.checksums(*tokens.ids(probes.texts(), None)))
    if text is not None:
        raise LibraryDiffers(
            f"{library} gives other token ids than {path} for one of the {probes.GROUP} texts from {text[:40]!r} on"
        )


def _with_tokenizers(
    files: ModelFiles, config: SessionConfig, session: Session | None = None, reason: str = ASKED_FOR
) -> BagEncoder:
    # Imported here: where the text graph serves, the library is not needed.
    from m2v_onnx.vectors.by_tokenizers import TokenizersTokens

    tokens = TokenizersTokens.read(files.checked(files.tokenizer), session.metadata if session else None)
    session = session or Session(files.checked(_query_graph(files, config) or files.graph), config)
    return _bag_encoder("tokenizers", tokens, session, files, config, reason)


def _query_graph(files: ModelFiles, config: SessionConfig) -> Path | None:
    """one.onnx, where it is used: other providers than the CPU's were seen to make NaN of a text without tokens."""
    return files.one if config.on_cpu else None


def _bag_encoder(
    name: TokenizerName, tokens: Tokens, session: Session, files: ModelFiles, config: SessionConfig, reason: str
) -> BagEncoder:
    """:param session: of one.onnx where the bundle has it."""

    def open_bag() -> Session:
        return Session(files.checked(files.graph), config)

    return BagEncoder(name, tokens, session, open_bag if _query_graph(files, config) else None, reason=reason)
