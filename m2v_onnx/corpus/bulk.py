"""A table as files for Milvus' bulk import, and the call that imports them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from m2v_onnx.corpus.collections import (
    COLLECTION,
    FIELD_TYPES,
    VECTOR,
    VectorField,
    check_index,
    check_uri,
    count_rows,
    is_server,
    milvus_errors,
    open_milvus,
    prepare_collection,
)
from m2v_onnx.corpus.fields import choose_columns
from m2v_onnx.corpus.files import need_pyarrow, open_files
from m2v_onnx.corpus.parts import into_parts
from m2v_onnx.corpus.tables import PART_ROWS, ROWS, Job, check_table_output, opened_model
from m2v_onnx.errors import CollectionError, MissingExtraError
from m2v_onnx.limits import UNSET, at_least_one
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.dtypes import VectorType

FILES = 1024
"""That one request of an import may name."""

ENDED = ("Completed", "Failed")
"""States of an import that does nothing any more."""

EXAMPLE_URI = "http://localhost:19530"


@dataclass(frozen=True)
class ImportFiles:
    """What was done.

    :ivar rows: of the table; all are in the files.
    :ivar empty: texts without tokens, whose vectors are zeros.
    :ivar files: the import's requests, each the paths of its files in the server's bucket.
    :ivar created: whether the collection was made; False without a server.
    :ivar jobs: of the imports that were begun, one a request, as Milvus names them; none without ``bucket_path``.
    """

    rows: int
    empty: int
    files: tuple[tuple[str, ...], ...]
    created: bool
    jobs: tuple[str, ...]


def import_documents(
    model: OnnxStaticModel | str | Path | Callable[[], OnnxStaticModel],
    source: str | Path,
    folder: str | Path,
    *,
    text: str | Sequence[str] = "text",
    key: str | None = None,
    columns: Sequence[str] | None = None,
    uri: str | None = None,
    token: str = "",
    collection: str = COLLECTION,
    vector_field: str = VECTOR,
    dtype: VectorType = "float32",
    metric: str | None = None,
    index_type: str = "AUTOINDEX",
    bucket_path: str | None = None,
    batch_size: int = ROWS,
    part_rows: int = PART_ROWS,
    force: bool = False,
    show_progress_bar: bool = False,
) -> ImportFiles:
    """Embed the texts of a table into files that Milvus' bulk import takes, and import them.

    A server reads the files from its own bucket, and this function uploads nothing. So there are two steps where the
    folder is not in the bucket already: call it without ``bucket_path``, copy the files, and call it once more with
    ``bucket_path``. The second call embeds nothing.

    :param model: as ``tables.embed_files`` takes it.
    :param source: a file, a folder of files or a pattern.
    :param folder: for the files; it is new, empty, or an earlier run's, which is gone on with.
    :param text, key, columns, collection, vector_field, dtype, metric, index_type: as ``index_documents``.
    :param uri: of a server, where the collection is made if it is not there. None to write the files only.
    :param token: of the server, "user:password" or an API key.
    :param bucket_path: where the server's bucket has the folder's files. None where it has them not yet: then no
        import is begun.
    :param batch_size: rows that are embedded at a time.
    :param part_rows: rows of a file.
    :param force: drop the collection first, if it is there, and remove the files of an earlier run.
    :raises ValueError: for a table or an option that does not fit, a database of Milvus Lite among them.
    :raises InvalidTextError: for a row without a text.
    :raises CorpusError: as ``tables.embed_files``.
    :raises CollectionError: for a collection that does not fit or has rows already, for an import that is not done
        yet, and for what Milvus refuses.
    """
    check_import(uri, bucket_path)
    check_index(uri or EXAMPLE_URI, dtype, metric, index_type)
    need_pyarrow()
    target = Path(folder)
    check_table_output(
        target, in_parts=True, dtype=dtype, layout="milvus", on_error="fail", empty="zero", force=force
    )  # fmt: skip
    texts = (text,) if isinstance(text, str) else tuple(text)
    files = open_files([source], texts)
    chosen = choose_columns(files[0].schema, text=texts, key=key, columns=columns, vector=vector_field)
    opened = opened_model(model)
    opened.encode([], dtype=dtype)  # a dim that binary cannot have is told before anything is made
    job = Job(
        model=opened,
        files=files,
        texts=texts,
        columns=tuple(chosen.types),
        vector=vector_field,
        dtype=dtype,
        bitorder="big",
        layout="milvus",
        on_error="fail",
        empty="zero",
        normalize=None,
        max_length=UNSET,
        batch_size=at_least_one("batch_size", batch_size),
        key=chosen.key,
        mend="fill it, or leave such rows out of the table",
        vector_option="--vector-field",
    )
    created = False
    if uri is not None:
        with open_milvus(uri, token) as client:
            vector = VectorField(vector_field, FIELD_TYPES[dtype], opened.dim)
            created = prepare_collection(client, collection, chosen, vector, metric, index_type, force=force)
            rows = 0 if created else count_rows(client, collection)
        if rows:
            raise CollectionError(
                f"the collection {collection} has {rows:,} rows already, and an import replaces none of them: give"
                " another --collection, or --force to drop this one with all its rows"
            )
    done = into_parts(job, target, at_least_one("part_rows", part_rows), force=force, shown=show_progress_bar)
    place = target.resolve().name if bucket_path is None else bucket_path.strip("/")
    names = [f"{place}/{path.name}".removeprefix("/") for path in sorted(target.glob("part-*.parquet"))]
    groups = tuple(tuple(names[first : first + FILES]) for first in range(0, len(names), FILES))
    jobs = () if uri is None or bucket_path is None else _begin(uri, token, collection, groups)
    return ImportFiles(done.rows, done.empty, groups, created, jobs)


def check_import(uri: str | None, bucket_path: str | None) -> None:
    """Look whether an import is possible, before any work is done for it.

    :raises ValueError: for a database of Milvus Lite, and a path in the bucket of no server.
    :raises MissingExtraError: without what is needed to call the server.
    """
    if uri is not None:
        check_uri(uri)
        if not is_server(uri):
            raise ValueError(
                f"bulk: Milvus Lite has no import, got the database {uri}: leave --bulk out, or give a server's --uri,"
                f" {EXAMPLE_URI} say"
            )
    if bucket_path is None:
        return
    if uri is None or not uri.startswith(("http://", "https://")):
        raise ValueError(
            f"bulk_path: expected the --uri of the server that has the files, {EXAMPLE_URI} say, got {uri or 'none'}"
        )
    missing = [package for package in ("pymilvus", "minio", "azure.storage") if not _is_there(package)]
    if missing:
        raise MissingExtraError("an import", "bulk", "pymilvus[bulk-writer]")


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it is a part of is missing
        return False


def import_call(files: Sequence[Sequence[str]], uri: str | None, collection: str) -> str:
    """The lines of Python that import files.

    :param files: the paths in the server's bucket, of each request.
    """
    lines = ["from pymilvus.bulk_writer import bulk_import", ""]
    first = 0
    for group in files:
        place = group[0].rpartition("part-")[0]
        numbered = f'[f"{place}part-{{i:05}}.parquet"] for i in range({first}, {first + len(group)})'
        lines.append(f'bulk_import("{uri or EXAMPLE_URI}", "{collection}", files=[{numbered}], api_key="root:Milvus")')
        first += len(group)
    return "\n".join(lines)


def _begin(uri: str, token: str, collection: str, groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """:return: the jobs. :raises CollectionError: where one is not done yet, and for what Milvus refuses."""
    from pymilvus.bulk_writer import bulk_import, list_import_jobs

    server = uri.rstrip("/")
    with milvus_errors(uri):
        known = list_import_jobs(server, collection, api_key=token).json()["data"].get("records") or []
        running = [job["jobId"] for job in known if job["state"] not in ENDED]
        if running:
            raise CollectionError(
                f"an import into {collection} is not done yet (job {running[0]}): wait for its end, or its rows would"
                " be there twice"
            )
        answers = [bulk_import(server, collection, files=[[name] for name in group], api_key=token) for group in groups]
    return tuple(str(answer.json()["data"]["jobId"]) for answer in answers)
