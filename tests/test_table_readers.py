"""Parquet with vectors, as other programs read it: pyarrow, DuckDB, Polars, pandas, and arrow-go, which Milvus has."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m2v_onnx import OnnxStaticModel, embed_files
from tests.conftest import ROOT

TEXTS = ["The whale sings to its calf.", "", "zwölf Wale"]
TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.uint32()),
        "text": pa.array(TEXTS, pa.large_string()),
        "kind": pa.array(["x", None, "x"]).dictionary_encode(),
        "tags": [["a", "b"], [], None],
    }
)

KINDS = [
    ("float32", "list"), ("float32", "milvus"), ("float32", "fixed"), ("float16", "list"), ("float16", "milvus"),
    ("int8", "list"), ("int8", "fixed"), ("binary", "list"),
]  # fmt: skip


def by_pyarrow(path: Path) -> Any:
    return pq.read_table(path).to_pydict()


def by_duckdb(path: Path) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.sql(f"select * from '{path}'").to_arrow_table().to_pydict()


def by_polars(path: Path) -> Any:
    # 1.20 breaks off over nulls among lists of float16.
    return pytest.importorskip("polars", "1.25").read_parquet(path).to_dict(as_series=False)


def by_pandas(path: Path) -> Any:
    frame = pytest.importorskip("pandas").read_parquet(path)
    return {name: frame[name].tolist() for name in frame}


@pytest.mark.parametrize("read", [by_pyarrow, by_duckdb, by_polars, by_pandas])
@pytest.mark.parametrize(("dtype", "layout"), KINDS)
def test_reads(read: Callable[[Path], Any], dtype: Any, layout: Any, tmp_path: Path, potion: OnnxStaticModel) -> None:
    path = tmp_path / "out.parquet"
    pq.write_table(TABLE, tmp_path / "in.parquet")
    empty: Any = "zero" if layout == "fixed" else "null"
    embed_files(potion, tmp_path / "in.parquet", path, dtype=dtype, layout=layout, empty=empty)
    found = read(path)
    assert [*found] == ["id", "text", "kind", "tags", "vector"]
    assert found["id"] == [1, 2, 3]
    assert found["text"] == TEXTS
    assert found["kind"][0] == "x"
    wanted = potion.encode(TEXTS, dtype=dtype)
    wanted = wanted.view(np.uint8) if (dtype, layout) == ("float16", "milvus") else wanted
    assert (found["vector"][1] is None) == (empty == "null")
    for i in (0, 1, 2) if empty == "zero" else (0, 2):
        np.testing.assert_allclose(np.array(found["vector"][i]).astype(wanted.dtype), wanted[i], rtol=0, atol=1e-6)


@pytest.mark.parametrize("output", ["out.parquet", "out"])
@pytest.mark.parametrize("option", ["on_error", "empty"])
def test_no_nulls_among_lists_of_a_fixed_size(
    option: str, output: str, tmp_path: Path, potion: OnnxStaticModel
) -> None:
    """pyarrow 20 cannot write them, and 21 to 25 cannot read them."""
    pq.write_table(TABLE, tmp_path / "in.parquet")
    nulls: dict[str, Any] = {option: "null"}
    with pytest.raises(ValueError, match="take the layout 'list'"):
        embed_files(potion, tmp_path / "in.parquet", tmp_path / output, layout="fixed", **nulls)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql", reason="runs in make data-engines")
    session = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize(("dtype", "layout"), [kind for kind in KINDS if kind != ("float16", "list")])
def test_spark_reads(dtype: Any, layout: Any, spark: Any, tmp_path: Path, potion: OnnxStaticModel) -> None:
    """A folder of parts, without what is beside them; all types but half floats, which Spark lacks."""
    pq.write_table(TABLE, tmp_path / "in.parquet")
    embed_files(potion, tmp_path / "in.parquet", tmp_path / "out", dtype=dtype, layout=layout, part_rows=2)
    found = spark.read.parquet(str(tmp_path / "out")).orderBy("id").collect()
    assert [(row["id"], row["text"]) for row in found] == [*zip((1, 2, 3), TEXTS, strict=True)]
    wanted = potion.encode(TEXTS, dtype=dtype)
    wanted = wanted.view(np.uint8) if dtype == "float16" else wanted
    vectors = np.array([row["vector"] for row in found]).astype(wanted.dtype)
    np.testing.assert_allclose(vectors, wanted, rtol=0, atol=1e-6)


MILVUS = {"float32": "float32", "float16": "uint8", "bfloat16": "uint8", "int8": "int8", "binary": "uint8"}
"""What arrow-go must find in a vector's list, for Milvus' import to take it."""


@pytest.fixture(scope="session")
def arrow_go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of tests/arrow_go, which takes minutes to compile for the first time."""
    if os.environ.get("M2V_ONNX_ARROW_GO") != "1":
        pytest.skip("runs in make data-engines")
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    folder, program = ROOT / "tests" / "arrow_go", tmp_path_factory.mktemp("go") / "read"
    if subprocess.run(["go", "mod", "download"], cwd=folder, capture_output=True, timeout=600).returncode:
        pytest.skip("arrow-go cannot be downloaded")
    subprocess.run(["go", "build", "-o", program, "."], cwd=folder, check=True, timeout=1200)
    return program


@pytest.mark.parametrize("dtype", MILVUS)
def test_milvus_reader(dtype: Any, arrow_go: Path, tmp_path: Path, potion: OnnxStaticModel) -> None:
    pytest.importorskip("ml_dtypes") if dtype == "bfloat16" else None
    path = tmp_path / "out.parquet"
    pq.write_table(TABLE, tmp_path / "in.parquet")
    embed_files(potion, tmp_path / "in.parquet", path, dtype=dtype, layout="milvus")
    done = subprocess.run([arrow_go, path], capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    vector = found["types"].pop("vector")
    assert vector.startswith("list<")
    assert f": {MILVUS[dtype]}" in vector
    assert found["types"] == {"id": "int64", "text": "utf8", "kind": "utf8", "tags": "utf8"}
    assert found["columns"]["text"] == TEXTS
    assert found["columns"]["tags"] == ['["a", "b"]', "[]", None]
    wanted = potion.encode(TEXTS, dtype=dtype)
    wanted = wanted.view(np.uint8) if dtype in ("float16", "bfloat16") else wanted
    np.testing.assert_allclose(np.array(found["columns"]["vector"]).astype(wanted.dtype), wanted, rtol=0, atol=1e-6)
