"""``embed_table`` and ``embed_dataset``, and the recipes of docs/data-engines.md in the engines themselves: ``make
data-engines`` installs these."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from m2v_onnx import InvalidTextError, OnnxStaticModel, embed_dataset, embed_table
from m2v_onnx.corpus.on_ray import Embedder
from tests.conftest import POTION_BUNDLE, ROOT
from tests.pages import blocks, printed

PAGE = blocks((ROOT / "docs" / "data-engines.md").read_text(encoding="utf-8"))
TEXTS = ["a whale", "", "zwölf Wale", "a river"]


@pytest.mark.parametrize("engine", ["ray", "pyspark", "duckdb", "polars", "dask", "datasets"])
def test_recipes(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    pytest.importorskip(engine, reason="`make data-engines` installs it")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.chdir(tmp_path)
    if engine == "ray":
        request.getfixturevalue("ray")  # started in this folder, which its workers have too
    first = next(block for block in PAGE if block.language == "python")
    assert printed(first.code, "data-engines.md") == first.prints
    (recipe,) = (b for b in PAGE if b.language == "py" and (f"import {engine}" in b.code or f"from {engine}" in b.code))
    assert printed(recipe.code, engine) == recipe.prints


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "binary"])
@pytest.mark.parametrize("kind", ["table", "batch", "chunks"])
def test_embed_table(kind: str, dtype: Any, potion: OnnxStaticModel) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="the extra bfloat16 is not installed")
    table = pa.table({"n": [1, 2, 3, 4], "text": pa.array(TEXTS, pa.large_string())})
    given: Any = {
        "table": table,
        "batch": table.to_batches()[0],
        "chunks": pa.concat_tables([table.slice(0, 1), table.slice(1)]),
    }[kind]
    made = embed_table(potion, given, dtype=dtype, vector="v")
    assert type(made) is type(given)
    assert made.schema.names == ["n", "text", "v"]
    wanted = potion.encode(TEXTS, dtype=dtype)
    if dtype == "bfloat16":
        wanted = wanted.view(np.uint8)
    assert made.schema.field("v").type == pa.list_(pa.from_numpy_dtype(wanted.dtype))
    np.testing.assert_allclose(np.array(made.column("v").to_pylist(), wanted.dtype), wanted, rtol=0, atol=1e-6)


def test_embed_table_of_no_rows(potion: OnnxStaticModel) -> None:
    made = embed_table(potion, pa.table({"text": pa.array([], pa.string())}))
    assert made.num_rows == 0
    assert made.schema.field("vector").type == pa.list_(pa.float32())


def test_embed_table_refuses(potion: OnnxStaticModel) -> None:
    table = pa.table({"text": ["a", None], "vector": [1, 2]})
    with pytest.raises(ValueError, match="there is no 'body': the table has 'text', 'vector'"):
        embed_table(potion, table, column="body")
    with pytest.raises(ValueError, match="has a column 'vector' already"):
        embed_table(potion, table)
    with pytest.raises(InvalidTextError, match="row 1 of a batch has no 'text'"):
        embed_table(potion, table, vector="v")


@pytest.fixture
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="`make data-engines` installs it")
    ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=100 << 20)
    yield ray
    ray.shutdown()


def test_ray_survives_a_worker_that_is_killed(
    ray: Any, potion: OnnxStaticModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{text} {i}" for i in range(500) for text in TEXTS]
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), tmp_path / "docs.parquet", row_group_size=100)
    mark = tmp_path / "killed"

    class Killed(Embedder):
        """The worker with the model, which dies once, at its third batch."""

        seen = 0

        def __call__(self, table: pa.Table) -> pa.Table:
            self.seen += 1
            if self.seen == 3 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(table)

    monkeypatch.setattr("m2v_onnx.corpus.on_ray.Embedder", Killed)
    ds = ray.data.read_parquet(str(tmp_path / "docs.parquet"))
    embed_dataset(ds, POTION_BUNDLE, batch_size=100).write_parquet(str(tmp_path / "out"))
    assert mark.exists(), "no worker was killed: the test shows nothing"
    made = pyarrow.dataset.dataset(tmp_path / "out", format="parquet").to_table().sort_by("id")
    assert made.column("id").to_pylist() == list(range(len(texts)))
    np.testing.assert_allclose(np.array(made.column("vector").to_pylist()), potion.encode(texts), rtol=0, atol=1e-6)
