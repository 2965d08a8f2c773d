"""``m2v-onnx index``: a table into a collection of Milvus."""

import argparse
import sys
from typing import Any

from m2v_onnx.commands.arguments import (
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
        default=["text"],
        metavar="COLUMNS",
        help="whose texts are embedded; several, as in title,body, are joined by a space (default: text)",
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
        choices=("float32", "float16", "bfloat16", "int8", "binary"),
        default="float32",
        help="of the vectors; Milvus Lite 3 takes float32 only (default: %(default)s)",
    )
    parser.add_argument(
        "--metric",
        choices=("COSINE", "IP", "L2", "HAMMING", "JACCARD"),
        help="of the search; by default COSINE, and HAMMING for binary vectors",
    )
    parser.add_argument(
        "--index-type", default="AUTOINDEX", metavar="TYPE", help="as Milvus names it, HNSW say (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-size",
        type=at_least_one,
        default=1000,
        metavar="ROWS",
        help="a request, at most (default: %(default)s)",
    )
    parser.add_argument(
        "--force", action="store_true", help="drop the collection first, if it is there, with all its rows"
    )
    add_location(parser)
    add_opening(parser)


def run(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.batches import open_table
    from m2v_onnx.corpus.collections import check_types, index_documents
    from m2v_onnx.model import OnnxStaticModel

    check_types(options.uri, options.dtype)
    open_table(options.source)  # what cannot be read is told before a model is downloaded
    done = index_documents(
        OnnxStaticModel.from_pretrained(options.model, **load_options(options)),
        options.source,
        text=options.text,
        key=options.key,
        columns=options.columns,
        uri=options.uri,
        token=options.milvus_token,
        collection=options.collection,
        vector_field=options.vector_field,
        dtype=options.dtype,
        metric=options.metric,
        index_type=options.index_type,
        batch_size=options.batch_size,
        force=options.force,
        show_progress_bar=sys.stderr is not None and sys.stderr.isatty(),
    )
    how = "new" if done.created else "there before"
    print(f"{done.rows:,} rows into {options.collection} ({how}) of {options.uri}, which has {done.count:,} rows now")
    if done.empty:
        print(f"texts without tokens: {done.empty:,}; their vectors are zeros, and no query is like them")
