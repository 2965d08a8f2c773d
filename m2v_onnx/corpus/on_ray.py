"""Ray Data: a model in each of several workers, on one machine or many."""

import json
import logging
import os
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from m2v_onnx.corpus.columns import embed_table
from m2v_onnx.corpus.parts import write_part
from m2v_onnx.corpus.tables import Advance, Job
from m2v_onnx.errors import CorpusError, M2vOnnxError, MissingExtraError
from m2v_onnx.limits import at_least_one
from m2v_onnx.model import LoadOptions, OnnxStaticModel
from m2v_onnx.models.bundle import fingerprint
from m2v_onnx.vectors.dtypes import BitOrder, VectorType

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 4096
"""Rows that a worker gets at a time."""


def embed_dataset(
    ds: Any,
    model: str | Path,
    *,
    column: str | Sequence[str] = "text",
    vector: str = "vector",
    dtype: VectorType = "float32",
    bitorder: BitOrder = "big",
    workers: int | tuple[int, int] = 1,
    batch_size: int = ROWS,
    **options: Unpack[LoadOptions],
) -> Any:
    """Give a dataset of Ray Data a column of vectors.

    Each worker opens the model once, and works in one thread on one core. Ray starts a worker that died anew, and
    gives it the batch again.

    :param ds: a ``ray.data.Dataset``.
    :param model: what ``OnnxStaticModel.from_pretrained`` takes; every machine must find it by that name.
    :param column: the column of the texts, or several that are joined by a space.
    :param vector: the name of the new column, a plain list of numbers.
    :param dtype, bitorder: of the vectors, as ``OnnxStaticModel.encode``.
    :param workers: how many, or the fewest and the most.
    :param batch_size: rows that a worker gets at a time.
    :param options: of ``OnnxStaticModel.from_pretrained``.
    :return: a dataset, of which nothing is made before it is read or written.
    :raises MissingExtraError: without Ray.
    """
    need_ray()
    from ray.data import ActorPoolStrategy

    fewest, most = (workers, workers) if isinstance(workers, int) else workers
    pool = ActorPoolStrategy(min_size=at_least_one("workers", fewest), max_size=at_least_one("workers", most))
    how = {"column": column, "vector": vector, "dtype": dtype, "bitorder": bitorder}
    return ds.map_batches(
        Embedder,
        fn_constructor_args=(str(model), how, {"threads": 1, **options}),
        batch_format="pyarrow",
        batch_size=at_least_one("batch_size", batch_size),
        compute=pool,
        num_cpus=1,
    )


class Embedder:
    """What a worker holds: an open model."""

    def __init__(self, model: str, how: dict[str, Any], options: LoadOptions) -> None:
        self._model = OnnxStaticModel.from_pretrained(model, **options)
        self._how = how

    def __call__(self, table: "pa.Table") -> "pa.Table":
        # A table of many short chunks, a row group each, would stay one in everything that is made of it.
        return embed_table(self._model, table, **self._how).combine_chunks()


STORE_BYTES = 100 << 20
"""Of Ray's store of objects where Ray is started here. Only what the manifest has of each part goes through it."""


@dataclass(frozen=True)
class OnRay:
    """How ``embed_files`` writes its parts by workers of Ray, on this machine or on a cluster.

    Each worker reads the rows of its part and writes the file: rows do not pass through this process. So every machine
    must have the inputs and the output under the same paths.

    :ivar address: of a cluster, as ``ray.init`` takes it, "auto" say. None for Ray as it is started in this process
        already, or else on this machine for the time of the job.
    :ivar workers: how many; None for one a core of the cluster.
    :ivar model: what ``OnnxStaticModel.from_pretrained`` takes on each machine; None for what ``embed_files`` is given.
    :ivar options: of ``OnnxStaticModel.from_pretrained``.
    """

    address: str | None = None
    workers: int | None = None
    model: str | None = None
    options: LoadOptions = field(default_factory=lambda: LoadOptions())

    def with_model(self, model: "OnnxStaticModel | str | Path | Callable[[], OnnxStaticModel]") -> "OnRay":
        """The same, and workers take this model where none is named."""
        need_ray()
        if self.workers is not None:
            at_least_one("workers", self.workers)
        return replace(self, model=str(model)) if self.model is None and isinstance(model, (str, Path)) else self

    def write_parts(
        self, job: Job, folder: Path, number: int, start: tuple[int, int], part_rows: int, advance: Advance
    ) -> Generator[dict[str, Any], None, None]:
        """As ``tables.Engine``; parts that are whole before earlier ones wait for these."""
        starts = list(job.starts(start, part_rows))
        if not starts and number == 0:
            starts = [start]  # a table without rows has a part too
        if not starts:
            return
        model = job.model if self.model is None else self.model
        how = (
            _without_model(job),
            model,
            fingerprint(job.model.files),
            dict(self.options),
            folder,
            part_rows,
            Path.cwd(),
        )
        parts = [{"number": number + i, "place": place, "row": row} for i, (place, row) in enumerate(starts)]
        early: dict[int, dict[str, Any]] = {}
        with _connected(self.address), _quiet(), closing(_on_workers(parts, self.workers, how)) as done:
            for at, part in done:
                early[at] = part
                advance(part["rows"], job.files[part["next"][0]], 0)
                while number in early:
                    yield early.pop(number)
                    number += 1


def need_ray() -> None:
    """:raises MissingExtraError: without it."""
    try:
        import ray.data  # noqa: F401 - to tell now
    except ImportError as error:
        raise MissingExtraError("Ray Data", "ray", "ray") from error


def _without_model(job: Job) -> Job:
    return replace(job, model=None)  # type: ignore[arg-type]


def _on_workers(
    parts: list[dict[str, int]], workers: int | None, how: tuple[Any, ...]
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """:return: the number of each part, and what the manifest has of it, as they are done."""
    import ray
    from ray.data import ActorPoolStrategy

    cores = int(ray.cluster_resources().get("CPU", 1))
    done = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
        PartWriter,
        fn_constructor_args=how,
        batch_format="pyarrow",
        batch_size=1,
        compute=ActorPoolStrategy(size=min(len(parts), workers or max(1, cores))),
        num_cpus=1,
    )
    for row in done.iter_rows():
        if row["error"] is not None:
            raise pickle.loads(row["error"])
        yield row["number"], json.loads(row["part"])


class PartWriter:
    """What a worker holds: an open model, and the job."""

    def __init__(
        self,
        job: Job,
        model: OnnxStaticModel | str,
        known: str,
        options: LoadOptions,
        folder: Path,
        part_rows: int,
        here: Path,
    ) -> None:
        with suppress(OSError):  # then its paths are not there either, and the first part tells which
            os.chdir(here)
        self._model = model, known, options
        self._job, self._folder, self._part_rows = job, folder, part_rows

    def __call__(self, table: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        rows = [self._written(**part) for part in table.to_pylist()]
        return pa.Table.from_pylist(
            rows, pa.schema([("number", pa.int64()), ("part", pa.string()), ("error", pa.binary())])
        )

    def _written(self, number: int, place: int, row: int) -> dict[str, Any]:
        """Errors are handed over: Ray would begin a part of bad rows again, or hide what happened in its own words."""
        try:
            if self._job.model is None:
                self._job = replace(self._job, model=_opened(*self._model))
            part = write_part(self._job, self._folder, number, (place, row), self._part_rows)
            return {"number": number, "part": json.dumps(part), "error": None}
        except (M2vOnnxError, ValueError, OSError) as error:
            return {"number": number, "part": None, "error": _pickled(error)}


def _opened(model: OnnxStaticModel | str, known: str, options: LoadOptions) -> OnnxStaticModel:
    if isinstance(model, OnnxStaticModel):
        model.threads = 1
        return model
    given: LoadOptions = {**options, "threads": 1}
    opened = OnnxStaticModel.from_pretrained(model, **given)
    if fingerprint(opened.files) != known:
        raise CorpusError(
            f"a worker found another model under the name {model}, in {opened.files.folder}, than the command: put the"
            " same files on all machines"
        )
    return opened


def _pickled(error: Exception) -> bytes:
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:  # an error whose making takes more than its message
        return pickle.dumps(CorpusError(str(error)))
    return content


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    import ray

    if ray.is_initialized():
        yield
        return
    local = {} if address or os.environ.get("RAY_ADDRESS") else {"object_store_memory": STORE_BYTES}
    try:
        ray.init(
            address=address,
            include_dashboard=False if local else None,
            logging_level="warning",
            log_to_driver=False,
            **local,
        )
    except ConnectionError as error:
        raise CorpusError(
            f"no connection to a cluster of Ray at {address}: start it, give the token that it was started with in"
            f" RAY_AUTH_TOKEN, or leave --address out. Ray says: {error}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Ray's own bars and its notes on them: the command has a bar."""
    from ray.data import DataContext

    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    before, level = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = before
        log.setLevel(level)
