"""``m2v-onnx index``: a table into a collection of Milvus."""

import argparse
import sys
from typing import Any

from m2v_onnx.commands.arguments import (
    UsageError,
    add_collection,
    add_command,
    add_location,
    add_opening,
    at_least_one,
    load_options,
    names,
)


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "index",
        run,
        "embed the texts of a table and put its rows into a collection of Milvus",
        "m2v-onnx index minishlab/potion-base-8M docs.parquet",
        "m2v-onnx index BUNDLE docs.csv.gz --text title,body --key url --columns title,year --collection pages",
        "m2v-onnx index BUNDLE docs.jsonl --metric IP --index-type HNSW --batch-size 500 --force",
        "m2v-onnx index owner/name docs.csv --precision int8 --revision v1.0 --subfolder small --token hf_...",
        "m2v-onnx index BUNDLE parts/ --uri http://localhost:19530 --milvus-token root:Milvus --dtype int8",
        "m2v-onnx index BUNDLE with-vectors.parquet --vector-column vector",
        "m2v-onnx index BUNDLE docs.parquet --bulk import",
        "m2v-onnx index BUNDLE docs.parquet --bulk import --part-rows 500000 --uri http://localhost:19530",
        "m2v-onnx index BUNDLE docs.parquet --bulk import --uri http://localhost:19530 --bulk-path import",
        "m2v-onnx index BUNDLE docs.parquet --vector-field embedding --tokenizer graph",
    )
    parser.add_argument("model", metavar="MODEL", help="a bundle, an .onnx file, a model's folder, or a Hub id")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a .parquet, .arrow, .feather, .jsonl or .csv file (the last two also .gz or .zst), a folder of"
        " them, or a pattern in quotes",
    )
    parser.add_argument(
        "--text",
        type=names,
        metavar="COLUMNS",
        help="whose texts are embedded; several, as in title,body, are joined by a space (default: text)",
    )
    parser.add_argument(
        "--vector-column",
        metavar="COLUMN",
        help="of vectors that the table has already, as `m2v-onnx embed` writes them: nothing is embedded",
    )
    parser.add_argument(
        "--key",
        metavar="COLUMN",
        help="of the primary key; by default id, and keys that Milvus makes where there is none",
    )
    parser.add_argument(
        "--columns", type=names, metavar="COLUMNS", help="that are stored besides the key; all by default"
    )
    add_collection(parser)
    parser.add_argument(
        "--vector-field", default="vector", metavar="NAME", help="of the vector's field (default: %(default)s)"
    )
    parser.add_argument(
        "--dtype",
        type=str.lower,
        choices=("float32", "float16", "bfloat16", "int8", "binary"),
        default="float32",
        help="of the vectors; Milvus Lite 3 takes float32 only (default: %(default)s)",
    )
    parser.add_argument(
        "--metric",
        type=str.upper,
        choices=("COSINE", "IP", "L2", "HAMMING", "JACCARD"),
        help="of the search; by default COSINE, and HAMMING for binary vectors",
    )
    parser.add_argument(
        "--index-type",
        type=str.upper,
        default="AUTOINDEX",
        metavar="TYPE",
        help="as Milvus names it, HNSW say (default: %(default)s)",
    )
    parser.add_argument(
        "--batch-size",
        type=at_least_one,
        default=1000,
        metavar="ROWS",
        help="a request, at most; with --bulk, that are embedded at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--force", action="store_true", help="drop the collection first, if it is there, with all its rows"
    )
    add_location(parser)
    add_opening(parser)
    bulk = parser.add_argument_group("of Milvus' bulk import")
    bulk.add_argument(
        "--bulk",
        metavar="DIR",
        help="write files for the import into a new folder, and insert nothing; print the call that imports them",
    )
    bulk.add_argument(
        "--bulk-path",
        metavar="PATH",
        help="where the bucket of the server (--uri) has the files of DIR: begin the import",
    )
    bulk.add_argument("--part-rows", type=at_least_one, metavar="ROWS", help="of a file (default: 1000000)")


def run(options: argparse.Namespace) -> None:
    if options.vector_column is not None and options.text is not None:
        raise UsageError(
            "--vector-column: nothing is embedded, and --text is for texts that are: leave one of them out"
        )
    if options.bulk is not None and options.vector_column is not None:
        raise UsageError(
            "--bulk makes vectors, and --vector-column is for a table that has them: import files that `m2v-onnx embed"
            " --layout milvus` wrote as they are, or index the texts"
        )
    if options.bulk is not None:
        _write_files(options)
        return
    for name in ("bulk_path", "part_rows"):
        if getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is of --bulk: give that too, or leave it out")
    _insert(options)


def _insert(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.batches import open_table
    from m2v_onnx.corpus.collections import URI, check_index, check_uri, index_documents, need_milvus
    from m2v_onnx.model import OnnxStaticModel

    uri = options.uri or URI
    check_uri(uri)
    need_milvus(uri, "to index a table", tables=True)
    check_index(uri, options.dtype, options.metric, options.index_type)
    open_table(options.source)  # what cannot be read is told before a model is downloaded
    done = index_documents(
        OnnxStaticModel.from_pretrained(options.model, **load_options(options)),
        options.source,
        uri=uri,
        vector_column=options.vector_column,
        **_shared(options),
    )
    how = "new" if done.created else "there before"
    print(f"{done.rows:,} rows into {options.collection} ({how}) of {uri}, which has {done.count:,} rows now")
    _tell_empty(done.empty)


def _write_files(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.bulk import import_call, import_documents
    from m2v_onnx.corpus.tables import PART_ROWS
    from m2v_onnx.model import OnnxStaticModel

    done = import_documents(
        lambda: OnnxStaticModel.from_pretrained(options.model, **load_options(options)),
        options.source,
        options.bulk,
        uri=options.uri,
        bucket_path=options.bulk_path,
        part_rows=options.part_rows or PART_ROWS,
        **_shared(options),
    )
    files = sum(map(len, done.files))
    print(f"{done.rows:,} rows in {files:,} file{'s' if files > 1 else ''} of {options.bulk}")
    _tell_empty(done.empty)
    if options.uri is not None:
        print(f"collection {options.collection} of {options.uri}: {'made' if done.created else 'there, without rows'}")
    if done.jobs:
        print(f"import begun: job {', '.join(done.jobs)}; pymilvus.bulk_writer.get_import_progress tells how far it is")
        return
    place = done.files[0][0].rpartition("/")[0]
    if options.uri is None:
        print(f"make the collection, copy the files into {place}/ of the server's bucket, and import them:")
    else:
        print(
            f"copy the files into {place}/ of the server's bucket, and give the same command with --bulk-path {place},"
            " or import them:"
        )
    print(f"\n{import_call(done.files, options.uri, options.collection)}")


def _tell_empty(texts: int) -> None:
    if texts:
        print(f"texts without tokens: {texts:,}; their vectors are zeros, and no query is like them")


def _shared(options: argparse.Namespace) -> dict[str, Any]:
    """What both ways have."""
    return {
        "text": options.text or ["text"],
        "key": options.key,
        "columns": options.columns,
        "token": options.milvus_token,
        "collection": options.collection,
        "vector_field": options.vector_field,
        "dtype": options.dtype,
        "metric": options.metric,
        "index_type": options.index_type,
        "batch_size": options.batch_size,
        "force": options.force,
        "show_progress_bar": sys.stderr is not None and sys.stderr.isatty(),
    }
