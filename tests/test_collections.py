"""Tables into Milvus Lite and queries out of it: ``index_documents``, ``search_documents`` and their commands."""

import datetime
import gzip
import json
import subprocess
import sys
from importlib.util import find_spec
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

from m2v_onnx import (
    CollectionError,
    InvalidTextError,
    OnnxStaticModel,
    embed_array,
    embed_files,
    index_documents,
    search_documents,
)
from m2v_onnx.commands.main import main
from m2v_onnx.corpus.batches import open_table
from m2v_onnx.corpus.columns import check_vector_column, vectors_of
from tests.conftest import POTION_BUNDLE

pytest.importorskip("milvus_lite", reason="the extra milvus is not installed")

TEXTS = ["The whale sings to its calf.", "Salt the water before the pasta.", "The river froze in January.", ""]
TABLE = pa.table({"id": [11, 12, 13, 14], "title": ["Whales", "Noodles", None, "Nothing"], "text": TEXTS})


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "milvus.db")


def ids(hits: list[dict[str, Any]], key: str = "id") -> set[Any]:
    return {hit[key] for hit in hits}


def test_from_parquet_to_a_hit_with_two_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(TABLE, "docs.parquet")
    model = str(POTION_BUNDLE)
    assert main(["index", model, "docs.parquet"]) == 0
    out = capsys.readouterr().out
    assert "4 rows into documents (new) of ./milvus.db, which has 4 rows now" in out
    assert "texts without tokens: 1" in out
    assert main(["search", model, "how do I cook noodles", "--limit", "2"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["score", "id", "title", "text"]
    assert first.split(maxsplit=1)[1] == "12  Noodles  Salt the water before the pasta."
    assert float(second.split()[0]) < float(first.split()[0])
    # Once more, and from another process, which finds the database free.
    assert main(["index", model, "docs.parquet"]) == 0
    assert "(there before) of ./milvus.db, which has 4 rows now" in capsys.readouterr().out
    command = [sys.executable, "-m", "m2v_onnx", "search", model, "whales", "noodles", "--json", "--limit", "1"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    hits = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(hit["query"], hit["id"], hit["title"]) for hit in hits] == [
        ("whales", 11, "Whales"),
        ("noodles", 12, "Noodles"),
    ]
    assert answer.stderr == ""


def test_vectors_are_the_models(potion: OnnxStaticModel, uri: str) -> None:
    from pymilvus import MilvusClient

    index_documents(potion, TABLE, uri=uri, batch_size=3)
    client = MilvusClient(uri)
    client.load_collection("documents")
    rows = client.query("documents", filter="id > 0", output_fields=["*"])
    client.close()
    wanted = potion.encode(TEXTS)
    assert len(rows) == 4
    for row in rows:
        assert row["vector"] == pytest.approx(wanted[row["id"] - 11].tolist(), abs=1e-6)


def test_a_second_run_replaces_rows_and_adds_new_ones(potion: OnnxStaticModel, uri: str) -> None:
    index_documents(potion, TABLE, uri=uri)
    done = index_documents(
        potion, pa.table({"id": [12, 20], "title": ["Tea", "Ice"], "text": ["green tea", "ice"]}), uri=uri
    )
    assert (done.rows, done.count, done.created) == (2, 5, False)
    (hits,) = search_documents(potion, ["a pot of green tea"], uri=uri, limit=1)
    assert (hits[0]["id"], hits[0]["title"], hits[0]["text"]) == (12, "Tea", "green tea")


def test_rows_with_keys_are_never_inserted(potion: OnnxStaticModel, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milvus Lite's insert replaces a row of the same key; a server's keeps both."""

    def insert(*_: Any) -> None:
        raise AssertionError("insert was called: a second run doubles the rows of a server")

    monkeypatch.setattr("pymilvus.MilvusClient.insert", insert)
    assert index_documents(potion, TABLE, uri=uri).count == 4


def test_filter_and_columns(potion: OnnxStaticModel, uri: str) -> None:
    index_documents(potion, TABLE, uri=uri)
    (hits,) = search_documents(potion, ["noodles"], uri=uri, filter="id != 12", columns=["id"])
    assert ids(hits) == {11, 13, 14}
    assert [*hits[0]] == ["score", "id"]
    with pytest.raises(CollectionError, match="has no column 'year'; it has: id, title, text"):
        search_documents(potion, ["noodles"], uri=uri, columns=["year"])
    with pytest.raises(CollectionError, match="Milvus says: unknown field 'year'"):
        search_documents(potion, ["noodles"], uri=uri, filter="year > 1990")


def test_joined_texts_and_chosen_columns(potion: OnnxStaticModel, uri: str) -> None:
    table = pa.table({"url": ["a", "b"], "head": ["green tea", "ice"], "body": ["in a pot", "on a lake"], "n": [1, 2]})
    index_documents(potion, table, uri=uri, text=["head", "body"], key="url", columns=["n"])
    (hits,) = search_documents(potion, ["green tea in a pot"], uri=uri, limit=1)
    assert {**hits[0], "score": 1} == {"score": 1, "url": "a", "n": 1}
    assert hits[0]["score"] == pytest.approx(1, abs=1e-5)


def test_keys_that_milvus_makes_are_not_doubled(potion: OnnxStaticModel, uri: str) -> None:
    table = TABLE.drop_columns("id")
    assert index_documents(potion, table, uri=uri).count == 4
    with pytest.raises(CollectionError, match="its rows would be there twice"):
        index_documents(potion, table, uri=uri)
    assert index_documents(potion, table, uri=uri, force=True).count == 4


def test_every_type_of_column(potion: OnnxStaticModel, uri: str) -> None:
    day = datetime.date(2020, 2, 29)
    columns = {
        "small": pa.array([1, None], pa.uint8()),
        "wide": pa.array([2**40, 0], pa.uint64()),
        "share": pa.array([0.5, None], pa.float32()),
        "exact": pa.array([0.1, 2.0], pa.float64()),
        "good": pa.array([True, None]),
        "kind": pa.array(["x", "y"]).dictionary_encode(),
        "day": pa.array([day, None]),
        "tags": pa.array([["a", "b"], None]),
        "more": pa.array([{"on": day, "n": 1}, None]),
        "none": pa.nulls(2),
    }
    table = pa.table({"id": ["k1", "k2"], "text": pa.array(TEXTS[:2], pa.large_string()), **columns})
    index_documents(potion, table, uri=uri)
    (hits,) = search_documents(potion, [TEXTS[0]], uri=uri)
    first, second = sorted(hits, key=lambda hit: str(hit["id"]))
    del first["score"], second["score"]
    assert first == {
        "id": "k1",
        "text": TEXTS[0],
        "small": 1,
        "wide": 2**40,
        "share": 0.5,
        "exact": 0.1,
        "good": True,
        "kind": "x",
        "day": "2020-02-29",
        "tags": ["a", "b"],
        "more": {"on": "2020-02-29", "n": 1},
        "none": None,
    }
    assert [name for name, value in second.items() if value is None] == [
        "small",
        "share",
        "good",
        "day",
        "tags",
        "more",
        "none",
    ]


def test_files_and_tables_are_read_alike(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=3)
    pyarrow.feather.write_feather(TABLE, tmp_path / "a.arrow")
    pyarrow.csv.write_csv(TABLE, tmp_path / "a.csv")
    lines = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist())
    (tmp_path / "a.jsonl").write_text(lines)
    for name in ("a.csv", "a.jsonl"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    parts = tmp_path / "parts"
    parts.mkdir()
    for i in (0, 1):
        pq.write_table(TABLE.slice(2 * i, 2), parts / f"{i}.parquet")
    frames = [pd.DataFrame(TABLE.to_pylist()), pl.DataFrame(TABLE.to_pylist()), TABLE]
    files = [each for each in sorted(tmp_path.iterdir()) if each.is_file()]
    for source in (*files, parts, str(parts), *frames):
        batches = [*open_table(source).batches(3)]
        assert all(len(batch) <= 3 for batch in batches)
        rows = [row for batch in batches for row in batch.to_pylist()]
        assert [row["id"] for row in rows] == [11, 12, 13, 14], source
        assert [row["text"] for row in rows] == TEXTS, source


BAD_TABLES: dict[str, tuple[pa.Table, dict[str, Any], type[Exception], str]] = {
    "a column that is not there": (
        TABLE,
        {"text": "body"},
        ValueError,
        r"no column 'body': the table has 'id', 'title'",
    ),
    "a missing text": (TABLE, {"text": "title"}, InvalidTextError, "row 2 has no 'title': fill it"),
    "no texts": (TABLE, {"text": "id"}, ValueError, "expected a column of texts, got int64 in 'id'"),
    "a missing key": (TABLE, {"key": "title"}, ValueError, "row 2 has no key 'title'"),
    "a name that Milvus refuses": (
        TABLE.append_column("a b", [[1] * 4]),
        {},
        ValueError,
        "the column 'a b': Milvus takes",
    ),
    "a binary column": (
        TABLE.append_column("b", [[b"x"] * 4]),
        {},
        ValueError,
        "the column 'b' is binary, which Milvus",
    ),
    "the vector's name": (TABLE, {"vector_field": "title"}, ValueError, "'title' has the name of a field that is made"),
    "a long text": (
        pa.table({"id": [1, 2], "text": ["a", "é" * 40_000]}),
        {},
        ValueError,
        "row 1 has 80,000 bytes in 'text', and Milvus stores at most 65,535",
    ),
    "keys that are there twice": (
        pa.table({"id": [1, 2, 1], "text": ["a", "b", "c"]}),
        {"batch_size": 1},
        CollectionError,
        "3 rows and the collection documents 2: some rows have the same key",
    ),
    "a number that is too large": (
        pa.table({"id": pa.array([2**64 - 1], pa.uint64()), "text": ["a"]}),
        {},
        ValueError,
        "Milvus stores integers to 2.*, in 'id': Integer value 18446744073709551615 not in range",
    ),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(name: str, potion: OnnxStaticModel, uri: str) -> None:
    table, options, error, message = BAD_TABLES[name]
    with pytest.raises(error, match=message):
        index_documents(potion, table, uri=uri, **options)


def test_what_is_no_table(potion: OnnxStaticModel, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a table, got list"):
        open_table(TEXTS)
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        open_table(tmp_path / "none.parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"cut.parquet: it cannot be read"):
        open_table(tmp_path / "cut.parquet")
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(ValueError, match=r"expected files of one format, .parquet.*got a.xlsx"):
        open_table(tmp_path / "a.xlsx")
    (tmp_path / "b.csv").write_text("id,text\n1,a\n")
    with pytest.raises(ValueError, match=r"expected files of one format, .*got csv, parquet"):
        open_table(tmp_path)


def test_a_collection_that_does_not_fit(potion: OnnxStaticModel, uri: str) -> None:
    index_documents(potion, TABLE, uri=uri)
    other = OnnxStaticModel.from_pretrained("minishlab/potion-base-8M")
    with pytest.raises(CollectionError, match="vectors of 64 dimensions, the model makes 256"):
        index_documents(other, TABLE, uri=uri)
    with pytest.raises(CollectionError, match="vectors of 64 dimensions, the model makes 256"):
        search_documents(other, ["a"], uri=uri)
    with pytest.raises(CollectionError, match="no field 'year', which the table has"):
        index_documents(potion, TABLE.append_column("year", [[1] * 4]), uri=uri)
    with pytest.raises(CollectionError, match="has VARCHAR in 'title', and the table INT64"):
        index_documents(potion, TABLE.set_column(1, "title", [[1] * 4]), uri=uri)
    with pytest.raises(CollectionError, match="another key than 'title'"):
        index_documents(potion, TABLE.slice(0, 2), uri=uri, key="title")
    with pytest.raises(CollectionError, match="has no collection pages; it has: documents"):
        search_documents(potion, ["a"], uri=uri, collection="pages")
    (hits,) = search_documents(potion, ["a"], uri=uri)
    assert len(hits) == 4


def test_a_database_that_is_not_there(potion: OnnxStaticModel, uri: str) -> None:
    with pytest.raises(CollectionError, match=r"there is no database .*: make it by `m2v-onnx index`"):
        search_documents(potion, ["a"], uri=uri)
    assert not Path(uri).exists()
    with pytest.raises(CollectionError, match=r"http://127.0.0.1:9: no Milvus answers there: start the server"):
        search_documents(potion, ["a"], uri="http://127.0.0.1:9")


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "no-such-model", "x.parquet"],
        ["index", "no-such-model", "x.parquet", "--bulk", "x"],
        ["search", "x", "y"],
    ],
    ids=["index", "bulk", "search"],
)
@pytest.mark.parametrize(
    ("uri", "do"),
    [("localhost:19530", "give http://localhost:19530 for a server"), ("milvus", "give one of them")],
)
def test_addresses_that_are_none(arguments: list[str], uri: str, do: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--uri", uri]) == 1
    error = capsys.readouterr().err
    assert "expected a folder of Milvus Lite, whose name ends in .db, or a server's address" in error
    assert error.endswith(f"got {uri!r}: {do}\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--metric", "hamming"], "metric: float32 vectors are searched by COSINE, IP, L2, got HAMMING"),
        (["--metric", "IP", "--dtype", "binary"], "metric: binary vectors are searched by HAMMING, JACCARD, got IP"),
        (["--index-type", "hnws"], "index_type: Milvus Lite has AUTOINDEX, FLAT, BRUTE_FORCE, HNSW, "),
    ],
)
def test_indexes_that_there_are_not(
    options: list[str], told: str, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(TABLE, tmp_path / "docs.parquet")
    assert main(["index", "no-such-model", str(tmp_path / "docs.parquet"), "--uri", uri, *options]) == 1
    assert told in capsys.readouterr().err
    assert not Path(uri).exists()


@pytest.mark.parametrize("index", ["FLAT", "BRUTE_FORCE", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8"])
def test_the_indexes_of_milvus_lite(index: str, potion: OnnxStaticModel, uri: str) -> None:
    if index not in ("FLAT", "BRUTE_FORCE"):
        pytest.importorskip("faiss")
    index_documents(potion, TABLE, uri=uri, index_type=index)
    (hits,) = search_documents(potion, [TEXTS[0]], uri=uri, limit=1)
    assert hits[0]["text"] == TEXTS[0]


def test_a_collection_that_milvus_refuses_is_not_half_there(
    potion: OnnxStaticModel, uri: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("m2v_onnx.corpus.collections.METRICS", ("HAMMING",))
    with pytest.raises(CollectionError, match=r"Milvus says: .*HAMMING"):
        index_documents(potion, TABLE, uri=uri, metric="HAMMING")
    assert not caplog.records  # no traceback of Milvus'
    assert index_documents(potion, TABLE, uri=uri).created


def test_a_query_without_tokens_is_told(potion: OnnxStaticModel, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    index_documents(potion, TABLE, uri=uri)
    assert main(["search", str(POTION_BUNDLE), "", "tea", "--uri", uri]) == 0
    assert capsys.readouterr().err == "m2v-onnx search: '' has no token of the model's: no text is like it\n"


def test_names_of_milvus_in_small_letters(uri: str, tmp_path: Path) -> None:
    from pymilvus import MilvusClient

    pq.write_table(TABLE, tmp_path / "docs.parquet")
    command = ["index", str(POTION_BUNDLE), str(tmp_path / "docs.parquet"), "--uri", uri]
    assert main([*command, "--metric", "l2", "--index-type", "flat"]) == 0
    client = MilvusClient(uri)
    index = client.describe_index("documents", "vector")
    client.close()
    assert (index["metric_type"], index["index_type"]) == ("L2", "FLAT")


def test_milvus_lites_types_are_told_before_anything_is_made(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(TABLE, tmp_path / "docs.parquet")
    command = ["index", str(POTION_BUNDLE), str(tmp_path / "docs.parquet"), "--uri", uri, "--dtype", "int8"]
    assert main(command) == 1
    assert "Milvus Lite takes float32 vectors, got int8" in capsys.readouterr().err
    assert not Path(uri).exists()


@pytest.mark.parametrize(
    ("missing", "uri", "told"),
    [
        (["pyarrow", "pymilvus", "milvus_lite"], "a.db", "packages pymilvus, milvus-lite, pyarrow|milvus"),
        (["pyarrow", "pymilvus", "milvus_lite"], "http://localhost:1", "packages pymilvus, pyarrow|milvus"),
        (["milvus_lite"], "a.db", "package milvus-lite|milvus"),
        (["pyarrow"], "a.db", "package pyarrow|arrow"),
    ],
)
def test_missing_packages_are_told_in_one_message(
    missing: list[str], uri: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "m2v_onnx.corpus.collections.find_spec", lambda name: None if name in missing else find_spec(name)
    )
    assert main(["index", "no-such-model", "no-such-file.parquet", "--uri", uri]) == 1
    packages, extras = told.split("|")
    error = capsys.readouterr().err
    assert error == f"m2v-onnx index: to index a table needs the {packages}: pip install 'm2v-onnx[{extras}]'\n"


@pytest.mark.parametrize("name", ["v.parquet", "v.arrow", "v.jsonl", "parts"])
def test_vectors_that_are_there_already(
    name: str, potion: OnnxStaticModel, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``embed`` writes them; nothing is embedded, whatever the text's column is called."""
    table = TABLE.rename_columns(["id", "title", "body"])
    pq.write_table(table, tmp_path / "docs.parquet")
    layout: Any = "fixed" if name == "v.arrow" else "list"
    embed_files(potion, tmp_path / "docs.parquet", tmp_path / name, text="body", vector="v", layout=layout)
    wanted = potion.encode(TEXTS)

    def encoded(*_: Any, **__: Any) -> None:
        raise AssertionError("a text was embedded")

    with monkeypatch.context() as patch:
        patch.setattr("m2v_onnx.corpus.collections.texts_of", encoded)
        done = index_documents(potion, tmp_path / name, uri=uri, vector_column="v", batch_size=3)
    assert (done.rows, done.count, done.empty) == (4, 4, 1)
    (hits,) = search_documents(potion, [TEXTS[1]], uri=uri)
    assert [*hits[0]] == ["score", "id", "title", "body"]
    assert hits[0]["id"] == 12
    assert [hit["score"] for hit in hits] == pytest.approx(sorted(wanted @ wanted[1], reverse=True), abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "binary"])
@pytest.mark.parametrize("layout", ["list", "milvus", "fixed"])
def test_vectors_are_read_as_they_were_written(layout: Any, dtype: Any, potion: OnnxStaticModel) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="the extra bfloat16 is not installed")
    texts = ["to be cut off", *TEXTS]
    wanted = potion.encode(texts, dtype=dtype)[1:]  # in the same batch: in another one the last bit may differ
    column = embed_array(potion, pa.array(texts), dtype=dtype, layout=layout).slice(1)
    check_vector_column(pa.schema([("v", column.type)]), "v", wanted[:0], dtype)
    read = vectors_of(column, "v", wanted[:0], 0)
    assert read.dtype == wanted.dtype
    np.testing.assert_array_equal(read.view(np.uint8), wanted.view(np.uint8))


WRONG_VECTORS: dict[str, tuple[Any, str]] = {
    "another type": (pa.array([[1] * 64], pa.list_(pa.int8())), "expected vectors of float32 in 'v', got list<"),
    "no vectors": (pa.array(["a"]), "expected vectors of float32 in 'v', got string"),
    "another model's": (pa.array([[0.5] * 256]), "row 0 has 256 numbers in 'v', and 64 were expected: take the model"),
    "a vector of a fixed size": (
        pa.array([[0.5] * 8], pa.list_(pa.float32(), 8)),
        "row 0 has 8 numbers in 'v', and 64 were expected",
    ),
    "a missing vector": (pa.array([None], pa.list_(pa.float32())), "row 0 has no vector in 'v': leave such rows out"),
    "a missing number": (pa.array([[None] * 64], pa.list_(pa.float32())), "row 0 has a vector with a missing number"),
}


@pytest.mark.parametrize("what", WRONG_VECTORS)
def test_vectors_that_do_not_fit_are_told_before_anything_is_made(what: str, potion: OnnxStaticModel, uri: str) -> None:
    column, message = WRONG_VECTORS[what]
    with pytest.raises(ValueError, match=message):
        index_documents(potion, pa.table({"id": [1], "v": column}), uri=uri, vector_column="v")
    assert not Path(uri).exists()


def test_vectors_that_do_not_fit_later_name_their_row(potion: OnnxStaticModel, uri: str) -> None:
    table = pa.table({"id": range(5), "v": pa.array([[0.5] * 64] * 4 + [None], pa.list_(pa.float32()))})
    with pytest.raises(ValueError, match="row 4 has no vector in 'v'"):
        index_documents(potion, table, uri=uri, vector_column="v", batch_size=2)
    with pytest.raises(ValueError, match="expected one column 'vector': the table has 'id', 'v'"):
        index_documents(potion, table, uri=uri, vector_column="vector")


def test_int8_vectors_of_json_are_checked(potion: OnnxStaticModel) -> None:
    none = potion.encode([], dtype="int8")
    assert vectors_of(pa.array([[-7] * 64]), "v", none, 0).tolist() == [[-7] * 64]
    with pytest.raises(ValueError, match="rows from 3 on: 'v' has numbers that are no int8"):
        vectors_of(pa.array([[700] * 64]), "v", none, 3)


def test_options_of_vectors_that_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["index", "no-such-model", "no-such-file.parquet", "--vector-column", "v"]
    assert main([*command, "--text", "body"]) == 2
    assert "nothing is embedded, and --text is for texts that are" in capsys.readouterr().err
    assert main([*command, "--bulk", "import"]) == 2
    assert "--bulk makes vectors, and --vector-column is for a table that has them" in capsys.readouterr().err


def test_no_column_of_json_lines_is_left_out(tmp_path: Path) -> None:
    """Arrow takes the columns from the first block; one that comes later is told."""
    path = tmp_path / "a.jsonl"
    rows = [{"id": i, "text": "x" * 40} | ({"late": 1} if i > 35_000 else {}) for i in range(36_000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="unexpected field"):
        list(open_table(path).batches(1000))


def test_numbers_of_csv_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,year\n007,hello,1999\n8,NA,2000\n,x,\n")
    table = open_table(tmp_path / "a.csv")
    assert [str(t) for t in table.schema.types] == ["string", "string", "int64"]
    (batch,) = table.batches(10)
    assert batch.to_pydict() == {"id": ["007", "8", ""], "text": ["hello", "NA", "x"], "year": [1999, 2000, None]}
    (tmp_path / "b.csv").write_text("id,text\n" + "1,abcdefgh\n" * 200_000 + "007,x\n")
    with pytest.raises(ValueError, match="column 'id' is of whole numbers at the begin"):
        list(open_table(tmp_path / "b.csv").batches(1000))
