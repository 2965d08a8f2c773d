"""``m2v-onnx search``: queries to a collection of Milvus, and its hits as a table."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
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

NARROWEST = 12
"""Characters that a column has at least, however narrow the terminal is."""


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "search",
        run,
        "search a collection of Milvus",
        "m2v-onnx search minishlab/potion-base-8M 'how do whales breathe?'",
        "m2v-onnx search BUNDLE 'salt' 'pepper' --filter 'year > 1990' --limit 3 --columns id,title",
        "m2v-onnx search BUNDLE 'salt' --uri http://localhost:19530 --collection pages --json",
        "m2v-onnx search BUNDLE 'salt' --milvus-token root:Milvus --vector-field v --tokenizer graph",
        "m2v-onnx search owner/name 'salt' --precision int8 --revision v1.0 --subfolder small --token hf_...",
    )
    parser.add_argument("model", metavar="MODEL", help="the one that the collection was indexed with")
    parser.add_argument("texts", metavar="QUERY", nargs="+", help="what to search for")
    add_collection(parser)
    parser.add_argument("--vector-field", metavar="NAME", help="where the collection has several")
    parser.add_argument("--filter", default="", metavar="CONDITION", help="in Milvus' language: 'year > 1990' say")
    parser.add_argument(
        "--limit", type=at_least_one, default=10, metavar="HITS", help="a query, at most (default: %(default)s)"
    )
    parser.add_argument("--columns", type=names, metavar="COLUMNS", help="that are shown; all by default")
    parser.add_argument("--json", action="store_true", help="print a JSON object a hit instead of a table")
    add_location(parser)
    add_opening(parser)


def run(options: argparse.Namespace) -> None:
    from m2v_onnx.corpus.collections import URI, check_uri, search_documents
    from m2v_onnx.model import OnnxStaticModel

    uri = options.uri or URI
    check_uri(uri)  # before a model is downloaded
    model = OnnxStaticModel.from_pretrained(options.model, **load_options(options))
    found = search_documents(
        model,
        options.texts,
        uri=uri,
        token=options.milvus_token,
        collection=options.collection,
        vector_field=options.vector_field,
        filter=options.filter,
        limit=options.limit,
        columns=options.columns,
    )
    for query, tokens in zip(options.texts, model.tokenize(options.texts), strict=True):
        if not tokens:
            print(f"m2v-onnx search: {query!r} has no token of the model's: no text is like it", file=sys.stderr)
    for number, (query, hits) in enumerate(zip(options.texts, found, strict=True)):
        if options.json:
            for hit in hits:
                print(json.dumps({"query": query, **hit}, ensure_ascii=False, default=str))
            continue
        if len(found) > 1:
            print(f"{chr(10) if number else ''}{query}")
        print("\n".join(_lines(hits, shutil.get_terminal_size((120, 24)).columns)) if hits else "no hits")


def _lines(hits: Sequence[dict[str, Any]], width: int) -> list[str]:
    """A table of hits, each in one line; what is too wide is cut."""
    heads = list(hits[0])
    cells = [heads, *([_cell(hit.get(head)) for head in heads] for hit in hits)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return ["  ".join(_cut(cell, room) for cell, room in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value: .3f}"  # a space where others have a minus
    return "" if value is None else " ".join(str(value).split())


def _cut(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 1]}…"
