"""Ray Data: a model in each of several workers, on one machine or many."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from m2v_onnx.corpus.columns import embed_table
from m2v_onnx.errors import MissingExtraError
from m2v_onnx.limits import at_least_one
from m2v_onnx.model import LoadOptions, OnnxStaticModel
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
    try:
        from ray.data import ActorPoolStrategy
    except ImportError as error:
        raise MissingExtraError("Ray Data", "ray", "ray") from error
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
