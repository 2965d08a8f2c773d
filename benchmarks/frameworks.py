"""What each adapter adds to ``encode``, at batches of 1,000 texts: docs/frameworks.md, "What it costs".

``.venv-integrations/bin/python -m benchmarks.frameworks``, after ``make integrations``; with ../shared. An adapter and
its model's ``encode`` take turns on the same texts. What counts is the CPU time of all threads, in the best of all
rounds, for other programs on the machine move it least. *Ours* is the adapter's own method, as the framework calls it:
what is above it is the framework's, and the same with any model. A framework that is not installed is left out, and
named.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some frameworks import onnxruntime before we do
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # otherwise txtai's litellm asks the network

import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.shared import lines, need_shared
from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.locate import DEFAULT_MODEL

BATCH, ROUNDS = 1000, 90

Work = Callable[[Sequence[str]], Any]
Made = tuple[OnnxStaticModel, Work, Work | None]
"""A model, what a user calls, and what the framework calls, where that is another thing."""


def langchain(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.langchain import Model2vecEmbeddings

    embeddings = Model2vecEmbeddings(DEFAULT_MODEL)
    return embeddings.model, lambda texts: embeddings.embed_documents(list(texts)), None


def llama_index(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.llama_index import Model2VecEmbedding

    embedding = Model2VecEmbedding(DEFAULT_MODEL)
    return (
        embedding.model,
        embedding.get_text_embedding_batch,
        lambda texts: embedding._get_text_embeddings(list(texts)),
    )


def haystack(texts: Sequence[str]) -> Made:
    from haystack import Document

    from m2v_onnx.integrations.haystack import Model2VecDocumentEmbedder

    embedder = Model2VecDocumentEmbedder(DEFAULT_MODEL)
    documents = [Document(content=text) for text in texts]  # the caller's work
    return embedder._described.model, lambda _: embedder.run(documents), None


def chroma(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.chroma import Model2VecEmbeddingFunction

    function = Model2VecEmbeddingFunction(DEFAULT_MODEL)
    return function.model, function, lambda texts: list(function._described.vectors(texts))


def lancedb(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.lancedb import Model2VecEmbeddings

    function = Model2VecEmbeddings.create(name=DEFAULT_MODEL)
    return function.model, function.compute_source_embeddings_with_retry, function.generate_embeddings


def txtai(_: Sequence[str]) -> Made:
    import txtai

    embeddings = txtai.Embeddings(method="m2v_onnx.integrations.txtai.Model2Vec", path=DEFAULT_MODEL)
    adapter = embeddings.model
    return adapter.model, embeddings.batchtransform, lambda texts: adapter.normalize(adapter.encode(texts))


def dspy(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.dspy import Model2VecEmbedder

    embedder = Model2VecEmbedder(DEFAULT_MODEL)
    return embedder._described.model, embedder, None


def sentence_transformers(_: Sequence[str]) -> Made:
    from m2v_onnx.integrations.sentence_transformers import SentenceTransformer

    face = SentenceTransformer(DEFAULT_MODEL)
    return face.model, face.encode, None


ADAPTERS: tuple[tuple[str, Callable[[Sequence[str]], Made], bool], ...] = (
    ("m2v-onnx", sentence_transformers, False),
    ("dspy", dspy, False),
    ("txtai", txtai, False),
    ("chromadb", chroma, False),
    ("lancedb", lancedb, False),
    ("langchain-core", langchain, True),
    ("llama-index-core", llama_index, True),
    ("haystack-ai", haystack, True),
)
"""The package, how its model and its work are made, and whether it wants lists of Python's floats."""


def fastest(works: Sequence[Work], texts: Sequence[str]) -> list[float]:
    """CPU milliseconds of each, the best of all rounds."""
    best = [float("inf")] * len(works)
    for number in range(ROUNDS):
        for turn in range(len(works)):
            i = (number + turn) % len(works)  # each comes first in turn: what ran before leaves the caches cold or warm
            start = time.process_time()
            works[i](texts)
            best[i] = min(best[i], 1000 * (time.process_time() - start))
    return best


def in_lists(model: OnnxStaticModel) -> Work:
    return lambda texts: model.encode(texts).tolist()


def main() -> None:
    need_shared()
    texts = lines("sentences_en.txt")[:BATCH]
    missing = []
    print(
        "| adapter for | CPU ms | ours | `encode` | `encode` and lists | ratio | ours |\n|---|---|---|---|---|---|---|"
    )
    for package, make, wants_lists in ADAPTERS:
        try:
            name = f"{package} {version(package)}" if make != sentence_transformers else "sentence-transformers' names"
        except PackageNotFoundError:
            missing.append(package)
            continue
        model, work, own = make(texts)
        adapter, ours, plain, lists = fastest([work, own or work, model.encode, in_lists(model)], texts)
        least = lists if wants_lists else plain
        with_lists = f"{lists:.2f}" if wants_lists else ""
        ratios = f"{adapter / least:.2f} | {ours / least:.2f}"
        print(f"| {name} | {adapter:.2f} | {ours:.2f} | {plain:.2f} | {with_lists} | {ratios} |", flush=True)
    if missing:
        print(f"\nnot installed: {', '.join(missing)}")


if __name__ == "__main__":
    main()
