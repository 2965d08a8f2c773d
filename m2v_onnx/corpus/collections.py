"""A table into a collection of Milvus, and queries out of it."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from m2v_onnx.corpus.bars import progress_bar
from m2v_onnx.corpus.batches import Table, open_table
from m2v_onnx.corpus.columns import are_zeros, check_vector_column, vectors_of
from m2v_onnx.corpus.fields import AUTOMATIC_KEY, VARCHAR_BYTES, Columns, choose_columns, stored_rows, texts_of
from m2v_onnx.errors import CollectionError, MissingExtraError
from m2v_onnx.limits import at_least_one
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.dtypes import VectorType

if TYPE_CHECKING:
    import pyarrow as pa
    from pymilvus import MilvusClient

URI = "./milvus.db"
COLLECTION = "documents"
VECTOR = "vector"

ROWS = 1000
"""Rows a request, by default."""
REQUEST_BYTES = 16 << 20
"""Of a table's batch that goes into one request; a server of Milvus takes 64 MB, vectors included."""

ADDRESS = re.compile(r"[\w.-]+:\d+(/.*)?")
"""Of a server, without its scheme: localhost:19530."""

OTHERWISE = "give another --collection, or --force to drop this one with all its rows"
"""What to do about a collection that does not fit."""

FIELD_TYPES: dict[str, str] = {
    "float32": "FLOAT_VECTOR",
    "float16": "FLOAT16_VECTOR",
    "bfloat16": "BFLOAT16_VECTOR",
    "int8": "INT8_VECTOR",
    "binary": "BINARY_VECTOR",
}
"""Milvus' name of each type of vector."""

METRICS = ("COSINE", "IP", "L2")
BINARY_METRICS = ("HAMMING", "JACCARD")

LITE_INDEXES = ("AUTOINDEX", "FLAT", "BRUTE_FORCE", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8")
"""Of Milvus Lite 3.2. It takes any other name too, and cannot load the collection once the process has ended."""


@dataclass(frozen=True)
class Indexed:
    """What was done.

    :ivar rows: of the table; all are in the collection now.
    :ivar count: rows of the collection.
    :ivar empty: texts without tokens, whose vectors are zeros.
    :ivar created: whether the collection was made.
    """

    rows: int
    count: int
    empty: int
    created: bool


def index_documents(
    model: OnnxStaticModel | str | Path,
    source: Any,
    *,
    text: str | Sequence[str] = "text",
    key: str | None = None,
    columns: Sequence[str] | None = None,
    vector_column: str | None = None,
    uri: str = URI,
    token: str = "",
    collection: str = COLLECTION,
    vector_field: str = VECTOR,
    dtype: VectorType = "float32",
    metric: str | None = None,
    index_type: str = "AUTOINDEX",
    batch_size: int = ROWS,
    force: bool = False,
    show_progress_bar: bool = False,
) -> Indexed:
    """Embed the texts of a table, and put its rows with their vectors into a collection of Milvus.

    The collection is made from the table's columns if it is not there. A row whose key is in it already takes that
    row's place, so a run that was interrupted is simply run again.

    :param model: an open model, or what ``OnnxStaticModel.from_pretrained`` takes.
    :param source: a file, a folder of files, or a table of Arrow, pandas or Polars; ``batches.open_table`` says more.
    :param text: the column of the texts, or several that are joined by a space.
    :param key: the column of the primary key, integers or texts; None for ``id``. Without such a column Milvus makes
        the keys, and a second run into the collection is refused.
    :param columns: those that are stored besides the key; None for all.
    :param vector_column: of the vectors that the table has already, as ``embed_files`` writes them: nothing is embedded
        then, ``text`` is not looked at, and the model is asked for the number of dimensions only.
    :param uri: a folder of Milvus Lite, whose name ends in .db, or a server's address.
    :param token: of the server, "user:password" or an API key.
    :param dtype: of the vectors. Milvus Lite 3 takes float32 only.
    :param metric: "COSINE", "IP", "L2"; "HAMMING" or "JACCARD" for binary vectors. None for COSINE, or HAMMING.
    :param index_type: of the vector's index, as Milvus names it.
    :param batch_size: rows a request, at most.
    :param force: drop the collection first, if it is there, with all that is in it.
    :param show_progress_bar: show one (tqdm) on standard error.
    :raises ValueError: for a table or an option that does not fit.
    :raises InvalidTextError: for a row without a text.
    :raises CollectionError: for a collection that does not fit, and for what Milvus refuses.
    """
    size = at_least_one("batch_size", batch_size)
    table = open_table(source)
    others = table.schema
    if vector_column in others.names:  # it becomes the vector's field, and is not stored besides
        others = others.remove(others.get_field_index(vector_column))
    chosen = choose_columns(others, text=None if vector_column else text, key=key, columns=columns, vector=vector_field)
    if dtype not in FIELD_TYPES:
        raise ValueError(f"dtype: expected one of {', '.join(FIELD_TYPES)}, got {dtype!r}")
    check_index(uri, dtype, metric, index_type)
    opened = model if isinstance(model, OnnxStaticModel) else OnnxStaticModel.from_pretrained(model)
    none = opened.encode([], dtype=dtype)  # a dim that binary cannot have is told before the collection is made
    if vector_column is not None:
        check_vector_column(table.schema, vector_column, none, dtype)
        for batch in islice(table.batches(1), 1):
            vectors_of(batch.column(vector_column), vector_column, none, 0)

    def vectors_in(batch: "pa.RecordBatch", first: int) -> npt.NDArray[Any]:
        if vector_column is None:
            return opened.encode(texts_of(batch, chosen.text, first), dtype=dtype)
        return vectors_of(batch.column(vector_column), vector_column, none, first)

    with open_milvus(uri, token) as client:
        field = VectorField(vector_field, FIELD_TYPES[dtype], opened.dim)
        created = prepare_collection(client, collection, chosen, field, metric, index_type, force=force)
        if chosen.key is None and not created:
            raise CollectionError(
                f"the collection {collection} is there, and the table has no key: its rows would be there twice. Give"
                f" the column of the key by --key, {OTHERWISE}"
            )
        rows = empty = 0
        put = client.insert if chosen.key is None else client.upsert
        with progress_bar(table.rows, "row") if show_progress_bar else nullcontext() as bar:
            for batch in _requests(table, size):
                vectors = vectors_in(batch, rows)
                documents = stored_rows(batch, chosen, rows)
                for document, vector in zip(documents, _as_sent(vectors, dtype), strict=True):
                    document[vector_field] = vector
                put(collection, documents)
                rows += len(batch)
                empty += int(are_zeros(vectors).sum())
                if bar is not None:
                    bar.update(len(batch))
        count = count_rows(client, collection)
    if count < rows or (created and count != rows):
        raise CollectionError(
            f"{table.name} has {rows:,} rows and the collection {collection} {count:,}: some rows have the same key,"
            " and only the last of them is there. Give a column without duplicates by --key"
        )
    return Indexed(rows, count, empty, created)


def search_documents(
    model: OnnxStaticModel | str | Path,
    queries: Sequence[str],
    *,
    uri: str = URI,
    token: str = "",
    collection: str = COLLECTION,
    vector_field: str | None = None,
    filter: str = "",
    limit: int = 10,
    columns: Sequence[str] | None = None,
) -> list[list[dict[str, Any]]]:
    """Search a collection of Milvus for the rows whose texts are most like a query.

    :param model: the one that the collection was indexed with.
    :param vector_field: None for the only one there is.
    :param filter: a condition in Milvus' language, ``year > 1990 and title like "The %"`` say.
    :param limit: hits a query, at most.
    :param columns: those that a hit has; None for all, the vector left out.
    :return: the hits of each query, the best first: the columns, and ``score``, Milvus' ``distance``.
    :raises CollectionError: when there is no such collection, when its vectors are another model's, and for what
        Milvus refuses.
    """
    if isinstance(queries, str):
        raise TypeError("expected a list of queries, got a single str: pass [query]")
    if not queries:
        return []
    check_uri(uri)
    if not is_server(uri) and not Path(uri).exists():
        raise CollectionError(f"there is no database {uri}: make it by `m2v-onnx index`, or give another --uri")
    with open_milvus(uri, token) as client:
        if not client.has_collection(collection):
            known = ", ".join(sorted(client.list_collections())) or "none"
            raise CollectionError(f"{uri} has no collection {collection}; it has: {known}")
        fields = client.describe_collection(collection)["fields"]
        vectors = {field["name"]: field for field in fields if "dim" in field["params"]}
        if vector_field is None and len(vectors) != 1:
            raise CollectionError(f"{collection} has the vectors {', '.join(vectors) or 'none'}: name one of them")
        name = next(iter(vectors)) if vector_field is None else vector_field
        if name not in vectors:
            raise CollectionError(f"{collection} has no vector {name!r}; it has: {', '.join(vectors) or 'none'}")
        opened = model if isinstance(model, OnnxStaticModel) else OnnxStaticModel.from_pretrained(model)
        _check_dim(collection, vectors[name], opened.dim)
        dtype = next((ours for ours, its in FIELD_TYPES.items() if its == vectors[name]["type"].name), None)
        if dtype is None:
            raise CollectionError(f"{collection}: the vector {name!r} is {vectors[name]['type'].name}: name another")
        stored = [field["name"] for field in fields if field["name"] not in vectors]
        shown = stored if columns is None else list(columns)
        for column in shown:
            if column not in stored:
                raise CollectionError(f"{collection} has no column {column!r}; it has: {', '.join(stored)}")
        client.load_collection(collection)  # Milvus Lite forgets it at its end, and a server's operator may release it
        found = client.search(
            collection,
            data=_as_sent(opened.encode(list(queries), dtype=dtype), dtype),  # type: ignore[arg-type]
            anns_field=name,
            filter=filter,
            limit=limit,
            output_fields=shown,
        )
        return [
            [{"score": hit["distance"], **{column: hit["entity"].get(column) for column in shown}} for hit in hits]
            for hits in found
        ]


@contextmanager
def open_milvus(uri: str, token: str = "") -> "Iterator[MilvusClient]":
    """A client of a server, or of Milvus Lite in this process, whose files are closed at the end.

    :raises MissingExtraError: without pymilvus, or milvus-lite where it is needed.
    :raises CollectionError: in place of each of pymilvus' errors.
    """
    check_uri(uri)
    need_milvus(uri, "Milvus")
    from pymilvus import MilvusClient

    try:
        with milvus_errors(uri):
            client = MilvusClient(uri, token=token)
            try:
                yield client
            finally:
                client.close()
    finally:
        if not is_server(uri):
            from milvus_lite.server_manager import server_manager_instance

            # Else the server goes on to the end of the process, and another process finds its files locked.
            server_manager_instance.release_server(uri)


@contextmanager
def milvus_errors(uri: str) -> Iterator[None]:
    """:raises CollectionError: in place of each of pymilvus' errors."""
    from pymilvus import MilvusException
    from pymilvus.client.types import Status

    logs = [logging.getLogger(name) for name in ("pymilvus", "milvus_lite")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)  # they print a traceback of each error, besides raising it
    try:
        yield
    except MilvusException as error:
        if error.code == Status.CONNECT_FAILED:
            raise CollectionError(
                f"{uri}: no Milvus answers there: start the server, or look at its address and --milvus-token; without"
                f" --uri there is {URI}, which needs no server (Milvus says: {error.message})"
            ) from error
        raise CollectionError(f"{uri}: Milvus says: {error.message}") from error
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def need_milvus(uri: str, purpose: str, *, tables: bool = False) -> None:
    """Look whether the packages are there, before any work is done.

    :param tables: whether tables are read too.
    :raises MissingExtraError: naming all that are missing.
    """
    wanted = ["pymilvus", *([] if is_server(uri) else ["milvus_lite"]), *(["pyarrow"] if tables else [])]
    missing = [package for package in wanted if find_spec(package) is None]
    if missing:
        extra = "arrow" if missing == ["pyarrow"] else "milvus"  # which brings pyarrow too
        raise MissingExtraError(purpose, extra, *(package.replace("_", "-") for package in missing))


def is_server(uri: str) -> bool:
    return "://" in uri


def check_uri(uri: str) -> None:
    """:raises ValueError: for what is neither a server's address nor a folder of Milvus Lite."""
    if not is_server(uri) and not uri.endswith(".db"):
        do = f"give http://{uri} for a server" if ADDRESS.fullmatch(uri) else "give one of them"
        raise ValueError(
            f"uri: expected a folder of Milvus Lite, whose name ends in .db, or a server's address, which begins with"
            f" http:// or https://, got {uri!r}: {do}"
        )


def check_index(uri: str, dtype: VectorType, metric: str | None, index_type: str) -> None:
    """Tell what Milvus refuses before a model is loaded for it.

    :raises ValueError: for a metric that does not fit the type of the vectors, and for a type of vectors or of an index
        that Milvus Lite has not.
    """
    metrics = BINARY_METRICS if dtype == "binary" else METRICS
    if metric is not None and metric.upper() not in metrics:
        raise ValueError(f"metric: {dtype} vectors are searched by {', '.join(metrics)}, got {metric}")
    if is_server(uri):
        return
    if dtype != "float32":
        raise ValueError(
            f"dtype: Milvus Lite takes float32 vectors, got {dtype}: leave it out, or give a server's --uri, "
            "http://localhost:19530 say"
        )
    if index_type.upper() not in LITE_INDEXES:
        raise ValueError(f"index_type: Milvus Lite has {', '.join(LITE_INDEXES)}, got {index_type}")


@dataclass(frozen=True)
class VectorField:
    """The field of a collection that has the vectors. :ivar type: as Milvus names it, one of ``FIELD_TYPES``."""

    name: str
    type: str
    dim: int


def prepare_collection(
    client: "MilvusClient",
    collection: str,
    columns: Columns,
    vector: VectorField,
    metric: str | None,
    index_type: str,
    *,
    force: bool,
) -> bool:
    """Make a collection, or look whether the one that is there fits, and load it.

    :param force: drop one that is there.
    :return: whether it was made.
    :raises CollectionError: for one that does not fit.
    """
    if force and client.has_collection(collection):
        client.drop_collection(collection)
    if not client.has_collection(collection):
        _create(client, collection, columns, vector, metric, index_type)
        return True
    _check_fits(client, collection, columns, vector)
    client.load_collection(collection)
    return False


def _create(
    client: "MilvusClient",
    collection: str,
    columns: Columns,
    vector: VectorField,
    metric: str | None,
    index_type: str,
) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=columns.key is None, enable_dynamic_field=False)
    if columns.key is None:
        schema.add_field(AUTOMATIC_KEY, DataType.INT64, is_primary=True)
    for name, type_ in columns.types.items():
        length = {"max_length": VARCHAR_BYTES} if type_ == "VARCHAR" else {}
        role = {"is_primary": True} if name == columns.key else {"nullable": True}
        schema.add_field(name, DataType[type_], **role, **length)
    schema.add_field(vector.name, DataType[vector.type], dim=vector.dim)
    index = client.prepare_index_params()
    metric = metric.upper() if metric else ("HAMMING" if vector.type == "BINARY_VECTOR" else "COSINE")
    index.add_index(vector.name, index_type=index_type.upper(), metric_type=metric)
    try:
        client.create_collection(collection, schema=schema, index_params=index)
    except BaseException:
        with suppress(Exception):  # the error before says more
            client.drop_collection(collection)  # it is there, and the index is not
        raise


def _check_fits(client: "MilvusClient", collection: str, columns: Columns, vector: VectorField) -> None:
    """:raises CollectionError: when a table's rows cannot go into a collection that is there."""
    found = {field["name"]: field for field in client.describe_collection(collection)["fields"]}
    wanted = {**columns.types, vector.name: vector.type}
    for name, type_ in wanted.items():
        if name not in found:
            raise CollectionError(
                f"the collection {collection} has no field {name!r}, which the table has: {OTHERWISE}"
            )
        its = found[name]["type"].name
        if its != type_:
            raise CollectionError(
                f"the collection {collection} has {its} in {name!r}, and the table {type_}: {OTHERWISE}"
            )
    key = AUTOMATIC_KEY if columns.key is None else columns.key
    if not found.get(key, {}).get("is_primary"):
        raise CollectionError(f"the collection {collection} has another key than {key!r}: {OTHERWISE}")
    _check_dim(collection, found[vector.name], vector.dim)
    for name, field in found.items():
        if name not in wanted and not field.get("nullable") and not field.get("auto_id"):
            raise CollectionError(f"the collection {collection} needs {name!r}, which the table has not: {OTHERWISE}")


def _check_dim(collection: str, field: dict[str, Any], dim: int) -> None:
    its = int(field["params"]["dim"])
    if its != dim:
        raise CollectionError(
            f"the collection {collection} has vectors of {its} dimensions, the model makes {dim}: take the model that"
            " the collection was made with"
        )


def _requests(table: Table, size: int) -> "Iterator[Any]":
    """Batches of a table, each small enough for one request."""
    for batch in table.batches(size):
        if not len(batch):
            continue
        parts = -(-batch.nbytes // REQUEST_BYTES)
        step = max(1, len(batch) // max(1, parts))
        for start in range(0, len(batch), step):
            yield batch.slice(start, step)


def _as_sent(vectors: npt.NDArray[Any], dtype: str) -> list[Any]:
    """As pymilvus takes them: arrays, and bytes for binary vectors."""
    return [vector.tobytes() for vector in vectors] if dtype == "binary" else list(np.asarray(vectors))


def count_rows(client: "MilvusClient", collection: str) -> int:
    (answer,) = client.query(collection, filter="", output_fields=["count(*)"], consistency_level="Strong")
    return int(answer["count(*)"])
