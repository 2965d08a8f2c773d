"""``embed_table`` and ``embed_dataset``, and the recipes of docs/data-engines.md in the engines themselves: ``make
data-engines`` installs these."""

import json
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

from m2v_onnx import InvalidTextError, OnnxStaticModel, OnRay, embed_dataset, embed_files, embed_table
from m2v_onnx.commands.main import main
from m2v_onnx.corpus import parts
from m2v_onnx.corpus.on_ray import Embedder, PartWriter
from tests.conftest import POTION_BUNDLE, ROOT
from tests.pages import blocks, printed

PAGE = blocks((ROOT / "docs" / "data-engines.md").read_text(encoding="utf-8"))
TEXTS = ["a whale", "", "zwölf Wale", "a river"]


@pytest.mark.parametrize("engine", ["ray", "pyspark", "duckdb", "polars", "dask", "daft", "datasets"])
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


def tables(folder: Path, bad: int | None = None) -> list[str]:
    """Two files of JSON lines, whose rows nobody has counted. :param bad: a row without a text."""
    rows = [{"id": i, "text": None if i == bad else f"{TEXTS[i % 4]} {i}" if i % 4 != 1 else ""} for i in range(3000)]
    for name, some in (("a", rows[:1700]), ("b", rows[1700:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return [str(folder / "a.jsonl"), str(folder / "b.jsonl")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parts_by_ray_are_the_same_files(ray: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Manifest and list of bad rows too; a run that another engine began is gone on with."""
    first, second = tables(tmp_path, bad=1234)
    command = ["embed", str(POTION_BUNDLE), "-i", first, "-i", second, "--part-rows", "400", "--batch-size", "150"]
    command += ["--on-error", "skip", "--empty", "null"]
    assert main([*command, "-o", str(tmp_path / "plain")]) == 0
    said = capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "ray"), "--engine", "ray", "--workers", "2"]) == 0
    assert said.splitlines()[-1].replace("plain", "ray") == capsys.readouterr().err.splitlines()[-1]
    whole = contents(tmp_path / "plain")
    assert len([name for name in whole if name.startswith("part-")]) == 8
    assert "_errors-part-00003.jsonl" in whole
    assert contents(tmp_path / "ray") == whole

    half = tmp_path / "half"
    half.mkdir()
    manifest = json.loads(whole["_manifest.json"])
    begun = {**manifest, "parts": manifest["parts"][:5], "complete": False}
    (half / "_manifest.json").write_text(json.dumps(begun))
    for part in begun["parts"]:
        (half / part["file"]).write_bytes(whole[part["file"]])
    (half / "_errors-part-00003.jsonl").write_bytes(whole["_errors-part-00003.jsonl"])
    before = (half / "part-00004.parquet").stat().st_mtime_ns
    assert main([*command, "-o", str(half), "--engine", "ray"]) == 0
    assert contents(half) == whole
    assert (half / "part-00004.parquet").stat().st_mtime_ns == before


def test_parts_by_ray_survive_a_worker_that_is_killed(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, mark = tables(tmp_path), tmp_path / "killed"

    class Killed(PartWriter):
        """The worker, which dies once, in the middle of its third part."""

        def _written(self, number: int, place: int, row: int) -> dict[str, Any]:
            if number == 2 and not mark.exists():
                module: Any = parts
                write = module.write

                def dying(*arguments: Any) -> Any:
                    write(*arguments)
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

                module.write = dying
            return super()._written(number, place, row)

    monkeypatch.setattr("m2v_onnx.corpus.on_ray.PartWriter", Killed)
    options: dict[str, Any] = {"part_rows": 400, "batch_size": 150}
    embed_files(POTION_BUNDLE, sources, tmp_path / "ray", engine=OnRay(workers=1), **options)
    assert mark.exists(), "no worker was killed: the test shows nothing"
    embed_files(POTION_BUNDLE, sources, tmp_path / "plain", **options)
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")


def test_errors_of_rays_workers_are_those_of_the_command(ray: Any, tmp_path: Path) -> None:
    sources = tables(tmp_path, bad=1234)
    with pytest.raises(InvalidTextError, match=r"a\.jsonl, line 1235 has no 'text': mend it"):
        embed_files(POTION_BUNDLE, sources, tmp_path / "out", part_rows=400, engine=OnRay())
    assert "part-00003.parquet" not in contents(tmp_path / "out")
    again: dict[str, Any] = {"part_rows": 400, "on_error": "skip", "force": True}
    embed_files(POTION_BUNDLE, sources, tmp_path / "out", engine=OnRay(), **again)
    embed_files(POTION_BUNDLE, sources, tmp_path / "plain", **again)
    assert contents(tmp_path / "out") == contents(tmp_path / "plain")
