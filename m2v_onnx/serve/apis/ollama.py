"""Ollama's API, as far as it is about vectors."""

from functools import partial
from time import perf_counter_ns
from typing import Any

import msgspec
from msgspec import Struct

from m2v_onnx.serve.answers import Answer, dumps, rows
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.models import own_version
from m2v_onnx.serve.problems import error_only


class Embed(Struct):
    model: str
    input: str | list[str]
    truncate: bool | None = None
    dimensions: int | None = None
    keep_alive: str | float | None = None
    options: dict[str, Any] | None = None


class Embedded(Struct):
    model: str
    embeddings: list[list[float]]
    total_duration: int
    load_duration: int
    prompt_eval_count: int


class Embeddings(Struct):
    """The older route."""

    model: str
    prompt: str
    keep_alive: str | float | None = None
    options: dict[str, Any] | None = None


class OneEmbedding(Struct):
    embedding: list[float]


_EMBED = msgspec.json.Decoder(Embed)
_EMBEDDINGS = msgspec.json.Decoder(Embeddings)


async def embed(call: Call) -> Answer:
    began = perf_counter_ns()
    request = await call.decoded(_EMBED)
    call.served = call.server.models.find(request.model)
    texts = call.texts(request.input, "input") if request.input else []
    before = b'{"model":%b,"embeddings":[' % dumps(request.model)
    after = partial(_after, call, began)
    if not texts:  # Ollama answers so, and its clients ask so whether a model is there
        return Answer(before + after())
    dimensions = call.dimensions(request.dimensions, "dimensions")
    return await call.answer(texts, rows, before, after, normalize=True, dimensions=dimensions)


def _after(call: Call, began: int) -> bytes:
    took = perf_counter_ns() - began
    return b'],"total_duration":%d,"load_duration":0,"prompt_eval_count":%d}' % (took, call.tokens)


async def embeddings(call: Call) -> Answer:
    request = await call.decoded(_EMBEDDINGS)
    call.served = call.server.models.find(request.model)
    texts = call.texts(request.prompt, "prompt")
    (written,) = await call.vectors(texts, rows)
    return Answer(b'{"embedding":%b}' % written)


async def tags(call: Call) -> Answer:
    listed = []
    for served in call.server.models.all:
        metadata = served.model.metadata
        listed.append(
            {
                "name": served.name,
                "model": served.name,
                "modified_at": "1970-01-01T00:00:00Z",
                "size": sum(entry["size"] for entry in served.model.files.manifest.values()),
                "digest": metadata.source_sha256 if metadata else "",
                "details": {
                    "format": "onnx",
                    "family": "model2vec",
                    "quantization_level": metadata.precision if metadata else "float32",
                },
            }
        )
    return Answer(dumps({"models": listed}))


async def version(call: Call) -> Answer:
    return Answer(dumps({"version": own_version()}))


ROUTES = (
    Route(
        method="POST", path="/api/embed", handle=embed, style=error_only, summary="Vectors, for Ollama's clients",
        request=Embed, answer=Embedded, example={"model": "", "input": ["Salt the water before the pasta."]},
    ),
    Route(
        method="POST", path="/api/embeddings", handle=embeddings, style=error_only, summary="The vector of one text",
        request=Embeddings, answer=OneEmbedding, example={"model": "", "prompt": "Salt the water before the pasta."},
    ),
    Route(method="GET", path="/api/tags", handle=tags, style=error_only, access="key", summary="Models", answer=dict),
    Route(
        method="GET", path="/api/version", handle=version, style=error_only, access="key", summary="The version",
        answer=dict,
    ),
)  # fmt: skip
