"""``m2v-onnx demo``: a small text into Milvus Lite and out again, in this process."""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from m2v_onnx.commands.arguments import add_command
from m2v_onnx.errors import MissingExtraError

QUERIES = (
    "how do whales breathe?",
    "making bread without yeast",
    "why is the sky blue",
    "running models on small boards",
)
HITS = 3
TEXTS = Path(__file__).with_name("demo.txt")


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        lambda options: demo(options.model, options.texts),
        "index a small text into Milvus Lite and search it",
        "m2v-onnx demo",
        "m2v-onnx demo BUNDLE 'how do whales breathe?'",
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", default="minishlab/potion-base-8M", help="default: %(default)s"
    )
    parser.add_argument("texts", metavar="QUERY", nargs="*", help="what to search for")


def demo(model_source: str, queries: Sequence[str] = ()) -> None:
    """Index the text that comes with the package and print what is found for each query.

    :raises MissingExtraError: without pymilvus and milvus-lite.
    """
    for package in ("pymilvus", "milvus_lite"):
        if find_spec(package) is None:
            raise MissingExtraError("the demo", "demo", package.replace("_", "-"))
    from pymilvus import MilvusClient

    from m2v_onnx.milvus import Model2VecEmbeddingFunction

    documents = TEXTS.read_text(encoding="utf-8").splitlines()
    ef = Model2VecEmbeddingFunction(model_source)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        client = MilvusClient(str(Path(folder) / "demo.db"))
        client.create_collection("demo", dimension=ef.dim, metric_type="COSINE")
        rows = [
            {"id": i, "vector": vector, "text": document}
            for i, (document, vector) in enumerate(zip(documents, ef.encode_documents(documents), strict=True))
        ]
        client.insert("demo", rows)
        print(f"{len(documents)} documents in Milvus Lite, {ef.dim} dimensions, by {model_source}")
        wanted = list(queries or QUERIES)
        found = client.search("demo", data=ef.encode_queries(wanted), limit=HITS, output_fields=["text"])
        for query, hits in zip(wanted, found, strict=True):
            print(f"\n{query}")
            for hit in hits:
                print(f"  {hit['distance']:.3f}  {hit['entity']['text']}")
        client.close()
