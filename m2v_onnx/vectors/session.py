"""Opening a graph and running it on flat token ids, whoever exported it."""

import ctypes
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import InvalidModelError
from m2v_onnx.models.format import EMBEDDING, HIDDEN, MEAN, NORM_EPSILON, PLAIN, PREDICTIONS, PROBABILITIES
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.forks import FORKS
from m2v_onnx.vectors.ragged import Ids, drop, lengths_of

Vectors = npt.NDArray[np.float32]
Wanted = Literal["mean", "unit", "head"]
"""What a run is asked for: vectors as they are pooled, divided by their norm, or what the head makes of them."""

Provider = str | tuple[str, Mapping[str, Any]]

CPU = "CPUExecutionProvider"

LOG_ERRORS = 3
"""onnxruntime's severity: errors are raised anyway, warnings about unused initializers help nobody."""


@dataclass(frozen=True)
class SessionConfig:
    """How to open an onnxruntime session.

    :ivar providers: onnxruntime's execution providers, in order of preference.
    :ivar session_options: onnxruntime's own; None for one thread a run, as the runs themselves are in threads.
    :ivar foreign: whether the graph is one that others exported; ours hold nothing that onnxruntime could optimize, and
        to look for it takes a fourth of the time that text.onnx takes to open.
    """

    providers: Sequence[Provider] = (CPU,)
    session_options: onnxruntime.SessionOptions | None = None
    foreign: bool = False

    @property
    def on_cpu(self) -> bool:
        """Whether onnxruntime's own kernels are all that is used."""
        return [_name(provider) for provider in self.providers] == [CPU]

    def open(self, path: Path) -> onnxruntime.InferenceSession:
        """Open a graph on the first provider that takes it; a warning says which of the others did not.

        :raises InvalidModelError: when onnxruntime cannot read the graph or its table.
        :raises ValueError: for a provider that this build does not have, or when none of those given takes the graph:
            onnxruntime itself would take another one, or say no more than that it failed.
        """
        available = onnxruntime.get_available_providers()
        for provider in self.providers:
            if _name(provider) not in available:
                raise ValueError(f"providers: expected some of {', '.join(available)}, got {_name(provider)!r}")
        options = self.session_options or self._defaults()
        providers = list(self.providers)
        while True:
            name = _name(providers[0])
            try:
                return onnxruntime.InferenceSession(str(path), options, providers)
            except ValueError:  # an option that this build does not have
                raise
            except Exception as error:  # onnxruntime has a class for each of its codes, with no common base
                where, why = f"{path}: onnxruntime {onnxruntime.__version__}", _first_line(error)
                if name == CPU:
                    raise InvalidModelError(f"{where} cannot open it: {why}; copy it or export it again") from error
                del providers[0]
                if not providers:
                    raise ValueError(
                        f"{where} cannot open it with {name}: {_advice(path)}add {CPU!r} to the providers ({why})"
                    ) from error
                warnings.warn(
                    f"{where} cannot open it with {name}, so it runs with {', '.join(map(_name, providers))}: {why}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _defaults(self) -> onnxruntime.SessionOptions:
        levels = onnxruntime.GraphOptimizationLevel
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = LOG_ERRORS
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if self.foreign else levels.ORT_DISABLE_ALL
        # A plan for each combination of sizes that was ever seen: texts bring new ones forever, and memory grows with
        # them.
        options.enable_mem_pattern = False
        # Threads would wait for each other at its lock, half of the time in text.onnx; malloc is as fast for one.
        options.enable_cpu_mem_arena = False
        return options


def _reference_counter(name: str) -> Any:
    function = ctypes.pythonapi[name]  # an object of our own: attributes of ctypes.pythonapi are everybody's
    function.argtypes, function.restype = [ctypes.py_object], None
    return function


class _Opened:
    """A session that only the process that opened it closes.

    A child of a fork has the session without its threads. To close it there waits for these threads forever, or
    crashes, whoever closes it: a del, the garbage collector, or the interpreter at its end. So the session has one
    reference more than Python's objects hold, and only the process that opened it gives that one back. No list of
    sessions has to be right in the middle of a fork, and nobody has to be told of the fork, which C code does without
    telling Python.
    """

    __slots__ = ("process", "run", "session")

    _take, _give_back = _reference_counter("Py_IncRef"), _reference_counter("Py_DecRef")

    def __init__(self, session: onnxruntime.InferenceSession, on_cpu: bool) -> None:
        self.session, self.process = session, os.getpid()
        # What the public method calls after it has looked for missing inputs and for other providers' values, a third
        # of the time of a query that comes cold. Ours have neither.
        self.run = getattr(getattr(session, "_sess", None), "run", session.run) if on_cpu else session.run
        self._take(session)

    def __del__(self, getpid: Callable[[], int] = os.getpid) -> None:  # a default, as modules are emptied at the end
        if self.process == getpid():
            self._give_back(self.session)


class Session:
    """An onnxruntime session that is opened anew after a fork, which its threads do not survive, unless ``FORKS`` knows
    that it had none.

    :ivar path: the .onnx file.
    :ivar metadata: what the graph says of itself; None for one that others exported.
    :ivar inputs: names.
    """

    def __init__(self, path: Path, config: SessionConfig) -> None:
        """:raises InvalidModelError: when it cannot be opened."""
        self.path, self._config = path, config
        self._opened = _Opened(config.open(path), config.on_cpu)
        # The same for all runs, which only read it: onnxruntime would make another for each, 1 to 2 us of a query.
        self._options = onnxruntime.RunOptions()
        self.metadata = Metadata.read(self.opened.get_modelmeta().custom_metadata_map, str(path))
        self.inputs = {i.name for i in self.opened.get_inputs()}

    @property
    def opened(self) -> onnxruntime.InferenceSession:
        """onnxruntime's session; after a fork the one that came over it, which may be asked but not run."""
        return self._opened.session

    def run(self, outputs: list[str], feeds: Mapping[str, npt.NDArray[Any]]) -> list[Any]:
        opened = self._opened
        if opened.process != os.getpid():
            inherited = FORKS.may_use_session(opened.process)
            session = opened.session if inherited else self._config.open(self.path)
            opened = self._opened = _Opened(session, self._config.on_cpu)
        results: list[Any] = opened.run(outputs, feeds, self._options)
        return results


class PoolingGraph:
    """A graph that makes vectors of token ids.

    Ours take flat ids and offsets and do the rest themselves. Those of others take that, or ids and an attention mask;
    they get neither unknown tokens nor texts without tokens, which they treat in their own ways.
    """

    def __init__(self, session: Session, unk_token_id: int | None) -> None:
        """:raises InvalidModelError: when it is no graph of this kind."""
        self.session = session
        self.metadata = session.metadata
        self.own = self.metadata is not None and self.metadata.graph == "bag"
        self._unk_token_id = unk_token_id
        if session.inputs not in ({"input_ids", "offsets"}, {"input_ids", "attention_mask"}):
            raise InvalidModelError(
                f"{session.path}: expected inputs input_ids and offsets, or input_ids and attention_mask,"
                f" got {sorted(session.inputs)}"
            )
        self._output = self._find_output()
        self.dim = self._find_dim()
        self.normalizes = self.metadata.normalize if self.metadata else self._is_normalized()

    def vectors(self, ids: Ids, offsets: Ids, wanted: Wanted) -> Vectors:
        """Pool each text's tokens.

        :param ids: int64 [T]. :param offsets: int64 [N].
        :return: float32 [N, dim]; [N, outputs] of the head.
        :raises ValueError: when a graph of others can only normalize and that is not wanted.
        """
        if self.own:
            return own_vectors(self.session, {"input_ids": ids, "offsets": offsets}, wanted)
        if wanted == "head":
            return own_vectors(self.session, self._feeds(ids, offsets, np.diff(offsets, append=len(ids))), wanted)
        if self.normalizes and wanted == "mean":
            if self.metadata is not None:
                return self._means_of_rows(*drop(ids, offsets, self._unk_token_id))
            raise ValueError(
                f"{self.session.path} normalizes its vectors and has no others: use normalize=True, or bag.onnx"
            )
        vectors = self._foreign_vectors(*drop(ids, offsets, self._unk_token_id))
        return normalized(vectors) if wanted == "unit" and not self.normalizes else vectors

    def _means_of_rows(self, ids: Ids, offsets: Ids) -> Vectors:
        """Of our model.onnx, which normalizes its vectors, and has each token's row besides."""
        lengths = lengths_of(ids, offsets)
        rows: Vectors = self.session.run([HIDDEN], self._feeds(ids, offsets, lengths))[0]
        means: Vectors = rows.sum(axis=1) / np.maximum(lengths, 1).astype(np.float32)[:, None]
        return means

    def _foreign_vectors(self, ids: Ids, offsets: Ids) -> Vectors:
        lengths = lengths_of(ids, offsets)
        full = np.flatnonzero(lengths)
        vectors = np.zeros((len(offsets), self.dim), np.float32)
        if len(full):
            # A text without tokens takes no ids, so the others' offsets stand.
            feeds = self._feeds(ids, offsets[full], lengths[full])
            vectors[full] = self.session.run([self._output], feeds)[0]
        return vectors

    def _feeds(self, ids: Ids, offsets: Ids, lengths: Ids) -> dict[str, Ids]:
        if "offsets" in self.session.inputs:
            return {"input_ids": ids, "offsets": offsets}
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        grid = np.zeros(mask.shape, np.int64)
        grid[mask] = ids
        return {"input_ids": grid, "attention_mask": mask.astype(np.int64)}

    def _find_output(self) -> str:
        outputs = {o.name: o.shape for o in self.session.opened.get_outputs()}
        if EMBEDDING in outputs:
            return EMBEDDING
        matrices = [name for name, shape in outputs.items() if len(shape) == 2]
        if len(matrices) != 1:
            raise InvalidModelError(f"{self.session.path}: expected an output [N, dim], got {outputs}")
        return str(matrices[0])

    def _find_dim(self) -> int:
        if self.metadata:
            return self.metadata.dim
        return int(self._probe([[0]]).shape[1])

    def _is_normalized(self) -> bool:
        """Whether means of two rows come out with unit length; rows alone may be stored so."""
        norms = np.linalg.norm(self._probe([[i, i + 1] for i in range(16)]), axis=1)
        return bool(np.allclose(norms[norms > 0], 1, atol=1e-2))

    def _probe(self, texts: list[list[int]]) -> Vectors:
        lengths = np.array([len(text) for text in texts])
        feeds = self._feeds(np.concatenate(texts).astype(np.int64), np.cumsum(lengths) - lengths, lengths)
        try:
            return np.asarray(self.session.run([self._output], feeds)[0], np.float32)
        except Exception as error:
            raise InvalidModelError(
                f"{self.session.path}: a first run of the graph failed: {_first_line(error)}"
            ) from error


def own_vectors(
    session: Session,
    feeds: Mapping[str, npt.NDArray[Any]],
    wanted: Wanted,
    counted: tuple[str, Callable[[int], object]] | None = None,
) -> Vectors:
    """Run a graph of ours, bag.onnx or text.onnx.

    :param counted: another output, and what gets its length.
    :return: float32 [N, dim]; [N, outputs] of the head.
    """
    assert session.metadata is not None
    output = MEAN if session.metadata.normalize and wanted == "mean" else EMBEDDING
    if wanted == "head":
        output = PREDICTIONS if session.metadata.activation == "identity" else PROBABILITIES
    vectors: Vectors
    if counted is None:
        vectors = session.run([output], feeds)[0]
    else:
        vectors, other = session.run([output, counted[0]], feeds)
        counted[1](len(other))
    return normalized(vectors) if wanted == "unit" and not session.metadata.normalize else vectors


def normalized(vectors: Vectors) -> Vectors:
    """Divide by the L2 norm in float32, as model2vec does; zeros stay zeros."""
    norms: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True) + np.float32(NORM_EPSILON)
    return vectors / norms


def _name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]


def _advice(path: Path) -> str:
    """:return: which graph to open in the place of one that is for onnxruntime's own kernels; "" for others."""
    plain = path.with_name(Path(PLAIN).name)
    return f"open {plain}, or " if path != plain and plain.is_file() else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
