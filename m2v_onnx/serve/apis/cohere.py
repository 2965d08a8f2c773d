"""Cohere's API, as far as it is about vectors: Milvus asks for int8 vectors so."""

from typing import Any, Literal
from uuid import uuid4

import msgspec
import numpy as np
from msgspec import Struct

from m2v_onnx.serve.answers import Answer, base64_rows, dumps, joined, rows
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.problems import Problem, message_only
from m2v_onnx.vectors.dtypes import as_type
from m2v_onnx.vectors.session import Vectors

EmbeddingType = Literal["float", "int8", "binary", "ubinary", "base64"]


class Embed(Struct):
    texts: list[str]
    model: str | None = None
    input_type: str | None = None
    embedding_types: list[EmbeddingType] | None = None
    truncate: Literal["NONE", "START", "END"] | None = None
    output_dimension: int | None = None


class Embedded(Struct):
    """:ivar embeddings: by type; in the older version a list where no type is asked for."""

    id: str
    embeddings: dict[str, Any] | list[list[float]]
    texts: list[str]
    meta: dict[str, Any]
    response_type: str


_EMBED = msgspec.json.Decoder(Embed)


def _typed(vectors: Vectors, kind: EmbeddingType) -> bytes:
    if kind == "float":
        return rows(vectors)
    if kind == "base64":
        return b",".join([b'"%b"' % each for each in base64_rows(vectors)])
    if kind == "int8":
        return rows(as_type(vectors, "int8"))
    bits = as_type(vectors, "binary")
    return rows(bits if kind == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8))


async def _embed(call: Call, version: str) -> Answer:
    request = await call.decoded(_EMBED)
    call.served = call.server.models.find(request.model)
    texts = call.texts(request.texts, "texts")
    dimensions = call.dimensions(request.output_dimension, "output_dimension")
    model = call.served.model
    if request.truncate in ("NONE", "START") and model.max_length is not None:
        lengths = await call.server.work.aside(lambda: [*map(len, model.tokenize(texts, max_length=None))])
        if (longest := max(lengths)) > model.max_length:
            where = f"`texts`: text {lengths.index(longest)} has {longest:,} tokens, the most is {model.max_length:,}"
            raise Problem("length", f"{where}: cut it, or take truncate END", parameter="texts")
    asked: list[EmbeddingType] = request.embedding_types or ["float"]
    kinds = [*dict.fromkeys(asked)]
    if {"binary", "ubinary"} & {*kinds} and (dimensions or model.dim) % 8:
        message = f"`embedding_types`: binary needs a multiple of 8 dimensions, got {dimensions or model.dim}"
        raise Problem("invalid", message, parameter="embedding_types")
    parts = await call.vectors(
        texts, lambda some, _: [_typed(some, kind) for kind in kinds], normalize=True, dimensions=dimensions
    )
    by_type = [joined(b"[", [part[i] for part in parts], b"]") for i in range(len(kinds))]
    if version == "1" and not request.embedding_types:
        (vectors,), response_type = by_type, "embeddings_floats"
    else:
        listed = (b"%b:%b" % (dumps(kind), each) for kind, each in zip(kinds, by_type, strict=True))
        vectors, response_type = b"{%b}" % b",".join(listed), "embeddings_by_type"
    rest = {
        "texts": texts,
        "meta": {"api_version": {"version": version}, "billed_units": {"input_tokens": call.tokens}},
        "response_type": response_type,
    }
    return Answer(b'{"id":%b,"embeddings":%b,%b' % (dumps(str(uuid4())), vectors, dumps(rest)[1:]))


async def embed_2(call: Call) -> Answer:
    return await _embed(call, "2")


async def embed_1(call: Call) -> Answer:
    return await _embed(call, "1")


_EXAMPLE = {"texts": ["Salt the water before the pasta."], "input_type": "search_document", "embedding_types": ["int8"]}

ROUTES = (
    Route(
        method="POST", path="/v2/embed", handle=embed_2, style=message_only, summary="Vectors, for Cohere's clients",
        request=Embed, answer=Embedded, example=_EXAMPLE,
    ),
    Route(
        method="POST", path="/v1/embed", handle=embed_1, style=message_only, summary="The older version of /v2/embed",
        request=Embed, answer=Embedded, example=_EXAMPLE,
    ),
)  # fmt: skip
