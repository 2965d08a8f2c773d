"""`m2v-onnx embed` of tables: every format in and out, columns beside the vectors, no row lost, none in silence."""

import datetime
import gzip
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from m2v_onnx import InvalidTextError, OnnxStaticModel, embed_array, embed_files, embed_table
from m2v_onnx.commands.main import main
from m2v_onnx.corpus import files, lines, sinks
from m2v_onnx.corpus.columns import Layout
from tests.test_cli import BUNDLE, failed
from tests.test_embed_files import left_in, zstd

TEXTS = ["The whale sings to its calf.", "", "zwölf Wale", 'a, "b" and c', "x " * 700]
TABLE = pa.table({"id": [11, 12, 13, 14, 15], "title": ["a", "b", None, "d", "e"], "text": TEXTS})


def vectors_of(table: pa.Table, name: str = "vector") -> np.ndarray[Any, Any]:
    return np.array(table[name].to_pylist(), np.float32)


def assert_same(found: Any, wanted: Any) -> None:
    """But for the last bit: a few texts go another way than many."""
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=0, atol=1e-6)


def json_lines(table: pa.Table) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()


def csv_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def stream_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue())


def parquet(path: Path) -> None:
    pq.write_table(TABLE, path, row_group_size=3)


INPUTS: dict[str, Callable[[Path], object]] = {
    "a.parquet": parquet,
    "a.arrow": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="lz4"),
    "stream.arrow": lambda path: path.write_bytes(stream_of(TABLE)),
    "a.feather": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="uncompressed"),
    "a.jsonl": lambda path: path.write_bytes(json_lines(TABLE)),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(json_lines(TABLE))),
    "a.ndjson.zst": lambda path: path.write_bytes(zstd(json_lines(TABLE))),
    "a.csv": lambda path: path.write_bytes(csv_of(TABLE)),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(csv_of(TABLE))),
    "a.csv.zst": lambda path: path.write_bytes(zstd(csv_of(TABLE))),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_input(name: str, tmp_path: Path, potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]) -> None:
    INPUTS[name](tmp_path / name)
    out = tmp_path / "out.parquet"
    assert main(["embed", BUNDLE, "-i", str(tmp_path / name), "-o", str(out), "--batch-size", "2"]) == 0
    table = pq.read_table(out)
    assert table.column_names == ["id", "title", "text", "vector"]
    assert table["id"].to_pylist() == TABLE["id"].to_pylist()
    assert table["text"].to_pylist() == TEXTS
    assert_same(vectors_of(table), potion.encode(TEXTS))
    assert capsys.readouterr().err == "m2v-onnx embed: 5 rows read, 5 written; texts without tokens: 1\n"
    assert left_in(tmp_path) == sorted([name, "out.parquet"])


@pytest.mark.parametrize(
    "inputs", [["parts"], ["parts/*.parquet"], ["parts/0.parquet", "parts/1.parquet"]], ids=" ".join
)
def test_folders_patterns_and_several_inputs(
    inputs: list[str], tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    for i in (0, 1):
        pq.write_table(TABLE.slice(3 * i, 3), f"parts/{i}.parquet")
    given = [argument for each in inputs for argument in ("-i", each)]
    assert main(["embed", BUNDLE, *given, "-o", "out.parquet"]) == 0
    table = pq.read_table("out.parquet")
    assert table["id"].to_pylist() == [11, 12, 13, 14, 15]
    assert_same(vectors_of(table), potion.encode(TEXTS))


@pytest.mark.parametrize("name", ["out.parquet", "out.arrow", "out.feather", "out.jsonl", "out.npy"])
def test_every_output(name: str, tmp_path: Path, potion: OnnxStaticModel) -> None:
    parquet(tmp_path / "a.parquet")
    out = tmp_path / name
    options = ["--text", "title,text", "--columns", "title,id", "--vector", "embedding", "--on-error", "skip"]
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(out), *options]) == 0
    rows = [0, 1, 3, 4]
    wanted = potion.encode([f"{TABLE['title'][i]} {TEXTS[i]}" for i in rows])
    if name == "out.npy":
        assert_same(np.load(out), wanted)
        return
    if name == "out.jsonl":
        table = pa.Table.from_pylist([json.loads(line) for line in out.read_text().splitlines()])
    else:
        table = pq.read_table(out) if name == "out.parquet" else pyarrow.feather.read_table(out)
    assert table.column_names == ["title", "id", "embedding"]
    assert table["id"].to_pylist() == [11, 12, 14, 15]
    assert_same(vectors_of(table, "embedding"), wanted)


DTYPES: dict[tuple[str, Layout], pa.DataType] = {
    ("float32", "list"): pa.list_(pa.float32()),
    ("float32", "milvus"): pa.list_(pa.float32()),
    ("float32", "fixed"): pa.list_(pa.float32(), 64),
    ("float16", "list"): pa.list_(pa.float16()),
    ("float16", "milvus"): pa.list_(pa.uint8()),
    ("bfloat16", "milvus"): pa.list_(pa.uint8()),
    ("int8", "list"): pa.list_(pa.int8()),
    ("int8", "fixed"): pa.list_(pa.int8(), 64),
    ("binary", "milvus"): pa.list_(pa.uint8()),
}


def test_the_order_of_bits(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """A folder that was begun with another order is not gone on with."""
    parquet(tmp_path / "a.parquet")
    out = tmp_path / "out"
    arguments = ["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(out), "--dtype", "binary"]
    assert main([*arguments, "--bitorder", "little"]) == 0
    expected = np.packbits(potion.encode(TEXTS) > 0, axis=1, bitorder="little")
    assert_same(vectors_of(pq.read_table(out)), expected)
    assert main(arguments) != 0
    array = embed_array(potion, pa.array(TEXTS), dtype="binary", bitorder="little")
    assert array.to_pylist() == expected.tolist()
    table = embed_table(potion, TABLE, dtype="binary", bitorder="little")
    assert table["vector"].to_pylist() == expected.tolist()


@pytest.mark.parametrize(("dtype", "layout"), DTYPES)
def test_types_and_layouts(dtype: Any, layout: Layout, tmp_path: Path, potion: OnnxStaticModel) -> None:
    pytest.importorskip("ml_dtypes") if dtype == "bfloat16" else None
    parquet(tmp_path / "a.parquet")
    out = tmp_path / "out.parquet"
    embed_files(potion, tmp_path / "a.parquet", out, dtype=dtype, layout=layout)
    column = pq.read_table(out)["vector"].combine_chunks()
    wanted, kind = potion.encode(TEXTS, dtype=dtype), DTYPES[dtype, layout]
    assert column.type.value_type == kind.value_type
    assert pa.types.is_fixed_size_list(column.type) == pa.types.is_fixed_size_list(kind)
    stored = column.flatten().to_numpy(zero_copy_only=False).reshape(len(TEXTS), -1)
    assert_same(stored, wanted.view(np.uint8) if kind.value_type == pa.uint8() else wanted)


def test_columns_are_plain(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """What Polars and pandas write, large_string say, Milvus' import refuses."""
    day = datetime.date(2020, 2, 29)
    table = pa.table(
        {
            "text": pa.array(TEXTS[:2], pa.large_string()),
            "kind": pa.array(["x", "y"]).dictionary_encode(),
            "view": pa.array(["v", None], pa.string_view()),
            "day": [day, None],
            "tags": pa.array([["a"], None], pa.large_list(pa.large_string())),
            "more": [{"n": 1, "on": day}, None],
            "small": pa.array([1, None], pa.uint8()),
            "none": pa.nulls(2),
            "id": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16, b"1" * 16], pa.binary(16))),
        }
    )
    pyarrow.feather.write_feather(table, tmp_path / "a.arrow")
    embed_files(potion, tmp_path / "a.arrow", tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert [str(each) for each in found.schema.types] == [
        "string", "string", "string", "date32[day]", "list<element: string>",
        "struct<n: int64, on: date32[day]>", "uint8", "string", "fixed_size_binary[16]", "list<element: float>",
    ]  # fmt: skip
    assert found.drop_columns(["vector", "id"]).to_pylist() == table.drop_columns(["id"]).to_pylist()
    columns = [name for name in table.column_names if name != "id"]
    embed_files(potion, tmp_path / "a.arrow", tmp_path / "milvus.parquet", columns=columns, layout="milvus")
    found = pq.read_table(tmp_path / "milvus.parquet")
    assert {str(each) for each in found.schema.types} == {"string", "int16", "list<element: float>"}
    assert found.slice(0, 1).drop_columns(["vector"]).to_pylist() == [
        {"text": TEXTS[0], "kind": "x", "view": "v", "day": "2020-02-29", "tags": '["a"]',
         "more": '{"n": 1, "on": "2020-02-29"}', "small": 1, "none": None}
    ]  # fmt: skip


def test_texts_too_long_for_milvus(tmp_path: Path, potion: OnnxStaticModel) -> None:
    pq.write_table(pa.table({"text": ["a", "é" * 40_000]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="row 1 has 80,000 bytes in 'text', and Milvus stores at most 65,535"):
        embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.parquet", layout="milvus")
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.parquet")


def test_row_groups_are_of_a_size(tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"text": ["a whale"] * 3000}), tmp_path / "a.parquet", row_group_size=100)
    monkeypatch.setattr(sinks, "ROW_GROUP_BYTES", 1000 * 64 * 4)
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.parquet", batch_size=100)
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1000, 1000, 1000]
    vector = metadata.row_group(0).column(1)
    assert vector.path_in_schema == "vector.list.element"
    assert not any("DICTIONARY" in encoding for encoding in vector.encodings)
    assert vector.compression == "UNCOMPRESSED"
    assert metadata.row_group(0).column(0).compression == "SNAPPY"


@pytest.mark.parametrize("output", ["out.parquet", "parts"])
def test_the_last_row_groups_are_small(
    output: str, tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to embed while the last one is written."""
    pq.write_table(pa.table({"text": ["a whale"] * 3000}), tmp_path / "a.parquet")
    monkeypatch.setattr(sinks, "LAST_GROUP_BYTES", 200 * 64 * 4)
    embed_files(potion, tmp_path / "a.parquet", tmp_path / output, batch_size=100, part_rows=2000)
    found = [*tmp_path.glob(f"{output}/*.parquet")] or [tmp_path / output]
    for path in found:
        metadata = pq.read_metadata(path)
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) <= 10
        assert sizes[-1] <= 200
    assert len(pq.read_table(tmp_path / output)) == 3000


def test_columns_that_repeat_get_a_dictionary(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """Of keys and texts one would cost time and save no bytes."""
    rows = 1000
    columns = {
        "id": range(rows),
        "text": [f"whale {i}" for i in range(rows)],
        "kind": ["whale", "ship"] * (rows // 2),
        "half": pa.array(np.arange(rows).astype(np.float16)),
        "tags": [[f"tag {i}"] for i in range(rows)],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.parquet")
    group = pq.read_metadata(tmp_path / "out.parquet").row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    with_one = {chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page}
    assert "kind" in with_one
    assert with_one.isdisjoint({"id", "text", "vector.list.element"})
    assert pq.read_table(tmp_path / "out.parquet").drop_columns(["vector"]).equals(pa.table(columns))


def test_large_rows_are_read_in_smaller_pieces(
    tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 10_000)
    texts = [f"whale {i} " + "x" * 3000 for i in range(20)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    sizes = [len(piece.batch) for piece in files.open_files([tmp_path / "a.parquet"])[0].pieces(4096, ["text"])]
    assert max(sizes) <= 3
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.parquet")
    assert_same(vectors_of(pq.read_table(tmp_path / "out.parquet")), potion.encode(texts))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_lines_longer_than_a_block(
    kind: str, tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 1000)
    monkeypatch.setattr(lines, "FIRST_BLOCK", 1000)
    texts = [f"a whale\nof {'x' * (700 if i % 7 else 30)} {i}" for i in range(60)]
    table = pa.table({"text": texts, "id": range(60)})
    path = tmp_path / f"a.{kind}"
    path.write_bytes(json_lines(table) if kind == "jsonl" else csv_of(table))
    embed_files(potion, path, tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found["text"].to_pylist() == texts
    assert found["id"].to_pylist() == [*range(60)]


def test_texts_are_texts_whatever_they_look_like(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """Arrow guesses types of columns of lines: dates, numbers."""
    (tmp_path / "a.jsonl").write_text('{"text": "2020-02-29"}\n{"text": "a whale"}\n')
    (tmp_path / "a.csv").write_text("text,n\n007,1\n2020-02-29,2\n")
    for name, texts in (("a.jsonl", ["2020-02-29", "a whale"]), ("a.csv", ["007", "2020-02-29"])):
        embed_files(potion, tmp_path / name, tmp_path / "out.arrow", force=True)
        table = pyarrow.feather.read_table(tmp_path / "out.arrow")
        assert table["text"].to_pylist() == texts
        assert_same(vectors_of(table), potion.encode(texts))


def test_options_of_encode_count(tmp_path: Path, potion: OnnxStaticModel) -> None:
    parquet(tmp_path / "a.parquet")
    options = ["--no-normalize", "--max-length", "3", "-o", str(tmp_path / "out.npy"), "--columns", "id"]
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), *options]) == 0
    assert_same(np.load(tmp_path / "out.npy"), potion.encode(TEXTS, normalize=False, max_length=3))


def test_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.parquet", "a.jsonl.gz"):
        INPUTS[name](tmp_path / name)
        out = ["-o", str(tmp_path / "out.parquet"), "--force"]
        assert main(["embed", BUNDLE, "-i", str(tmp_path / name), *out, "--progress"]) == 0
        assert "5.00/5.00" in capsys.readouterr().err


ARRAYS: dict[str, Callable[[], Any]] = {
    "string": lambda: pa.array([*TEXTS, None]),
    "large_string": lambda: pa.array([*TEXTS, None], pa.large_string()),
    "string_view": lambda: pa.array([*TEXTS, None], pa.string_view()),
    "dictionary": lambda: pa.array([*TEXTS, None]).dictionary_encode(),
    "a slice": lambda: pa.array(["no", None, *TEXTS, None, "no"])[2:-1],
    "chunks": lambda: pa.chunked_array([pa.array(TEXTS[:2]), pa.array([], pa.string()), pa.array([*TEXTS[2:], None])]),
    "pandas": lambda: pa.array(pd.Series([*TEXTS, None], dtype="str")),
    "polars": lambda: pl.Series([*TEXTS, None]).to_arrow(),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_kind(name: str, potion: OnnxStaticModel) -> None:
    found = embed_array(potion, ARRAYS[name]())
    assert str(found.type) == "list<item: float>"
    assert found[-1].as_py() is None
    assert_same(found[:-1].to_pylist(), potion.encode(TEXTS))


def test_arrays_that_are_no_texts(potion: OnnxStaticModel) -> None:
    with pytest.raises(TypeError, match="expected an array of texts, got int64"):
        embed_array(potion, pa.array([1]))
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 2], np.int32)), pa.py_buffer(b"a\xff"))
    with pytest.raises(InvalidTextError, match="text 1 is no UTF-8"):
        embed_array(potion, broken)
    assert embed_array(potion, pa.array([], pa.string())).to_pylist() == []
    assert embed_array(potion, pa.nulls(2)).to_pylist() == [None, None]


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    arguments = ["-i", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out.parquet")]
    assert "pip install 'm2v-onnx[arrow]'" in failed(capsys, "embed", BUNDLE, *arguments)


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    parquet(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = ["-i", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out"), "--engine", "ray"]
    assert "pip install 'm2v-onnx[ray]'" in failed(capsys, "embed", BUNDLE, *arguments)
    assert not (tmp_path / "out").exists()


REFUSED: list[tuple[list[str], int, str]] = [
    (["-i", "none.parquet", "-o", "out.parquet"], 1, "there is no file or folder none.parquet"),
    (["-i", "no/*.parquet", "-o", "out.parquet"], 1, "there is no file or folder no/*.parquet"),
    (["-i", "a.parquet"], 2, "a table is written to a file: give --output FILE"),
    (["-o", "out.parquet"], 2, "a table is read from files: give --input FILE"),
    (["-i", "a.parquet", "b.parquet", "-o", "out.parquet"], 2, "put a pattern such as 'parts/*.parquet' into quotes"),
    (["-i", "a.parquet", "-o", "out.csv"], 2, "expected a file of .parquet, .arrow, .feather, .npy, .jsonl, got"),
    (["-i", "a.parquet", "-o", "no/out.parquet"], 1, "there is no folder no: make it first"),
    (["-i", "a.parquet", "-o", "there.parquet"], 2, "there.parquet exists: give another output, or --force"),
    (["-i", "a.parquet", "-o", "a.parquet", "--force"], 1, "a.parquet is an input too: give another output"),
    (["-i", "a.parquet", "-i", "a.csv", "-o", "out.parquet"], 1, "expected files of one format"),
    (["-i", "a.parquet", "-i", "a.parquet", "-o", "out.arrow"], 1, "a.parquet is given more than once"),
    (["-i", "a.parquet", "-o", "out.parquet", "--text", "body"], 1, "text: there is no column 'body': the table has"),
    (["-i", "a.parquet", "-o", "out.parquet", "--text", "id"], 1, "expected a column of texts, got int64 in 'id'"),
    (["-i", "a.parquet", "-o", "out.parquet", "--columns", "x"], 1, "columns: there is no column 'x'"),
    (["-i", "a.parquet", "-o", "out.parquet", "--vector", "id"], 1, "the table has a column 'id' already"),
    (["-i", "a.parquet", "-o", "out.parquet", "--field", "title"], 2, "give --text title"),
    (["-i", "a.parquet", "-o", "out.parquet", "--skip-blank"], 2, "--skip-blank is for lines"),
    (["-i", "a.parquet", "-o", "out.npy", "--empty", "null"], 2, "a .npy file has no place for missing vectors"),
    (["-i", "a.parquet", "-o", "out.jsonl", "--dtype", "bfloat16"], 2, "bfloat16 vectors go into .parquet or .arrow"),
    (["-i", "cut.parquet", "-o", "out.parquet"], 1, "cut.parquet: it cannot be read"),
    (["-i", "other.parquet", "-i", "a.parquet", "-o", "out.parquet"], 1, "a.parquet: expected one column 'body'"),
    (["-i", "cut.jsonl.gz", "-o", "out.parquet"], 1, "cut.jsonl.gz: it"),
    (["-i", "lines.jsonl", "-o", "out.parquet"], 1, "expected a JSON object a line"),
    (["-i", "empty.jsonl", "-o", "out.parquet"], 1, "empty.jsonl: it"),
    (["-i", "a.parquet", "-o", "out", "--workers", "2"], 2, "--workers is for Ray: give --engine ray too"),
    (["-i", "a.parquet", "-o", "out.parquet", "--engine", "ray"], 2, "--engine ray writes a folder of parts"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED, ids=[" ".join(each[0]) for each in REFUSED])
def test_refusals_leave_nothing(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    parquet(Path("a.parquet"))
    Path("there.parquet").write_bytes(b"precious")
    Path("a.csv").write_bytes(csv_of(TABLE))
    Path("cut.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"text": ["a"], "body": ["b"]}), "other.parquet")
    packed = gzip.compress(b"".join(b'{"text": "%f"}\n' % i for i in np.random.default_rng(0).random(100_000)))
    Path("cut.jsonl.gz").write_bytes(packed[:-3000])
    Path("lines.jsonl").write_text('"a whale"\n"b"\n')
    Path("empty.jsonl").touch()
    before = left_in(tmp_path)
    assert message in failed(capsys, "embed", BUNDLE, *arguments, code=code)
    assert left_in(tmp_path) == before
    assert Path("there.parquet").read_bytes() == b"precious"


def test_a_thread_that_ctrl_c_meets_as_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool does not know of that thread and starts another one: still only one at a time uses the writer."""
    table = pa.record_batch({"text": ["Salt the water."] * 4})
    monkeypatch.setattr(sinks, "ROW_GROUP_BYTES", 1)
    using, most = 0, 0

    class Writer:
        """Slow, and tells how many use it."""

        def write_table(self, *_: object, **__: object) -> None:
            nonlocal using, most
            using += 1
            most = max(most, using)
            time.sleep(0.2)
            using -= 1

        def close(self) -> None:
            self.write_table()

    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        monkeypatch.undo()
        raise KeyboardInterrupt

    with (tmp_path / "a.parquet").open("wb") as file:
        sink = sinks.ParquetSink(file, table.schema, "text")
        sink._writer = Writer()
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sink.write(table)
        sink.close()
    assert most == 1
