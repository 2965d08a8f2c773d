"""OpenAI's API, and Voyage's on the same path: they differ in the names of two options, and in int8 and bits."""

from functools import partial
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from m2v_onnx.serve.answers import Answer, Items, base64_rows, dumps
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.models import Served
from m2v_onnx.serve.problems import Problem, openai
from m2v_onnx.vectors.dtypes import as_type
from m2v_onnx.vectors.session import Vectors

OutputType = Literal["float", "int8", "binary", "ubinary"]


class Embeddings(Struct):
    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None
    output_dimension: int | None = None
    output_dtype: OutputType | None = None
    truncation: bool | None = None


class Embedding(Struct):
    object: str
    index: int
    embedding: list[float] | str


class Usage(Struct):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct):
    object: str
    data: list[Embedding]
    model: str
    usage: Usage


class Model(Struct):
    id: str
    object: str
    created: int
    owned_by: str


class ModelList(Struct):
    object: str
    data: list[Model]


_EMBEDDINGS = msgspec.json.Decoder(Embeddings)


def _typed(vectors: Vectors, kind: OutputType) -> Any:
    if kind == "float":
        return vectors
    if kind == "int8":
        return as_type(vectors, "int8")
    bits = as_type(vectors, "binary")
    return bits if kind == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)


def _numbers(kind: OutputType) -> Items:
    def items(vectors: Vectors, first: int) -> bytes:
        typed = enumerate(_typed(vectors, kind), first)
        return dumps([{"object": "embedding", "index": i, "embedding": vector} for i, vector in typed])[1:-1]

    return items


def _base64(kind: OutputType) -> Items:
    """Twice as fast as to hand each vector's text to a writer of JSON."""

    def items(vectors: Vectors, first: int) -> bytes:
        written = enumerate(base64_rows(_typed(vectors, kind)), first)
        return b",".join([b'{"object":"embedding","index":%d,"embedding":"%b"}' % each for each in written])

    return items


_WRITERS = {
    (encoding, kind): write(kind)
    for encoding, write in (("float", _numbers), ("base64", _base64))
    for kind in ("float", "int8", "binary", "ubinary")
}
"""By the format of numbers, and their type."""


async def embeddings(call: Call) -> Answer:
    try:
        request = await call.decoded(_EMBEDDINGS)
    except Problem as problem:
        if problem.kind == "invalid" and (problem.parameter or "").startswith("input"):
            raise Problem(
                "invalid",
                f"{problem}. `input` is a text or a list of texts here. Token ids cannot be used: they are another"
                " model's. LangChain's OpenAIEmbeddings sends texts with check_embedding_ctx_length=False",
                parameter="input",
            ) from None
        raise
    served = call.served = call.server.models.find(call.name or request.model)
    texts = call.texts(request.input, "input")
    kind = request.output_dtype or "float"
    wanted = request.dimensions if request.dimensions is not None else request.output_dimension
    dimensions = call.dimensions(wanted, "dimensions" if request.dimensions is not None else "output_dimension")
    if kind in ("binary", "ubinary") and (dimensions or served.model.dim) % 8:
        message = f"`output_dtype`: {kind} needs a multiple of 8 dimensions, got {dimensions or served.model.dim}"
        raise Problem("invalid", message, parameter="output_dtype")
    return await call.answer(
        texts,
        _WRITERS[request.encoding_format or "float", kind],
        b'{"object":"list","data":[',
        partial(_after, call, served),
        normalize=True,
        dimensions=dimensions,
    )


def _after(call: Call, served: Served) -> bytes:
    usage = {"prompt_tokens": call.tokens, "total_tokens": call.tokens}
    return b'],"model":%b,"usage":%b}' % (dumps(served.name), dumps(usage))


def _model(served: Served) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": 0, "owned_by": "m2v-onnx"}


async def models(call: Call) -> Answer:
    return Answer(dumps({"object": "list", "data": [_model(served) for served in call.server.models.all]}))


async def model(call: Call) -> Answer:
    return Answer(dumps(_model(call.server.models.find(call.name))))


_EXAMPLE = {"model": "", "input": ["Salt the water before the pasta.", "The river froze in January."]}


def _embedding(path: str, summary: str) -> Route:
    return Route(
        method="POST", path=path, handle=embeddings, style=openai, summary=summary, request=Embeddings,
        answer=EmbeddingList, example=_EXAMPLE,
    )  # fmt: skip


ROUTES = (
    _embedding("/v1/embeddings", "Vectors of texts, for OpenAI's and Voyage's clients"),
    _embedding("/embeddings", "As /v1/embeddings"),
    _embedding("/openai/deployments/{model}/embeddings", "As /v1/embeddings, where Azure has it"),
    Route(
        method="GET", path="/v1/models", handle=models, style=openai, access="key", summary="The models",
        answer=ModelList,
    ),
    Route(
        method="GET", path="/v1/models/{model}", handle=model, style=openai, access="key", summary="One model",
        answer=Model,
    ),
)  # fmt: skip
