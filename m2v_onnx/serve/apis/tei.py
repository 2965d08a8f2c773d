"""text-embeddings-inference's API: Milvus' TEI function, LangChain, LlamaIndex, Haystack and huggingface_hub speak it.

Texts are always truncated to the model's ``max_length``, as ``encode`` does and as text-embeddings-inference does with
``--auto-truncate``; ``"truncate": false`` makes a longer text an error.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from m2v_onnx.serve.answers import Answer, dumps, joined, rows
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.models import own_version
from m2v_onnx.serve.problems import Problem, tei

SEQUENCE_TOKENS = 1 << 14
"""Tokens of a request for a vector each: 50 MB of JSON at 256 dimensions."""

TokenId = Annotated[int, Meta(ge=0, lt=2**32)]


class Embed(Struct):
    inputs: str | list[str]
    truncate: bool | None = None
    truncation_direction: str | None = None
    prompt_name: str | None = None
    normalize: bool | None = True
    dimensions: int | None = None


class EmbedAll(Struct):
    inputs: str | list[str]
    truncate: bool | None = None
    truncation_direction: str | None = None
    prompt_name: str | None = None


class Tokenize(Struct):
    inputs: str | list[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


class Token(Struct):
    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Decode(Struct):
    ids: list[TokenId | list[TokenId]]
    skip_special_tokens: bool = True


_EMBED = msgspec.json.Decoder(Embed)
_EMBED_ALL = msgspec.json.Decoder(EmbedAll)
_TOKENIZE = msgspec.json.Decoder(Tokenize)
_DECODE = msgspec.json.Decoder(Decode)


def _end() -> bytes:
    return b"]"


async def embed(call: Call) -> Answer:
    request = await call.decoded(_EMBED)
    call.served = call.server.models.find(call.name)
    texts = call.texts(request.inputs, "inputs", empty=False)
    if request.truncate is not None or request.truncation_direction is not None or request.prompt_name is not None:
        await _check_options(call, request, texts)
    return await call.answer(
        texts,
        rows,
        b"[",
        _end,
        normalize=request.normalize is not False,
        dimensions=call.dimensions(request.dimensions, "dimensions"),
    )


async def embed_all(call: Call) -> Answer:
    request = await call.decoded(_EMBED_ALL)
    call.served = call.server.models.find(call.name)
    texts = call.texts(request.inputs, "inputs", empty=False)
    await _check_options(call, request, texts)
    model = call.served.model

    def make() -> bytes:
        counts = [*map(len, model.tokenize(texts))]
        call.tokens = sum(counts)
        if call.tokens > SEQUENCE_TOKENS:
            message = f"`inputs`: {call.tokens:,} tokens, the most is {SEQUENCE_TOKENS:,} where each gets a vector"
            raise Problem("length", f"{message}: send them in more requests", parameter="inputs")
        found = model.encode_as_sequence(list(texts), max_length=model.max_length)
        return joined(b"[", [b"[" + rows(np.asarray(each)) + b"]" for each in found], b"]")

    return Answer(await call.server.work.aside(make))


async def _check_options(call: Call, request: Embed | EmbedAll, texts: Sequence[str]) -> None:
    """:raises Problem: for what a static model does not have, and for texts that may not be truncated and would be."""
    if request.prompt_name:
        raise Problem(
            "invalid",
            f"`prompt_name`: the model has no prompts, got {request.prompt_name[:100]!r}: put it before the text",
            parameter="prompt_name",
        )
    direction = request.truncation_direction
    if direction is not None and direction.lower() not in ("left", "right"):
        message = f"`truncation_direction`: expected Right or Left, got {direction[:100]!r}"
        raise Problem("invalid", message, parameter="truncation_direction")
    left = direction is not None and direction.lower() == "left"
    model, most = call.served.model, call.served.model.max_length
    if most is None or not (left or request.truncate is False):
        return
    lengths = await call.server.work.aside(lambda: [*map(len, model.tokenize(texts, max_length=None))])
    if (longest := max(lengths)) > most:
        where = f"text {lengths.index(longest)} has {longest:,} tokens, the most is {most:,}"
        if left:
            raise Problem("length", f"`inputs`: {where}, and a text cannot be truncated on the left: cut it")
        raise Problem("length", f"`inputs`: {where}: cut it, or leave `truncate` out")


async def tokenize(call: Call) -> Answer:
    request = await call.decoded(_TOKENIZE)
    call.served = call.server.models.find(call.name)
    texts = list(call.texts(request.inputs, "inputs", empty=False))

    def make() -> bytes:
        tokenizer = call.served.tokenizer
        encodings = tokenizer.encode_batch(texts, add_special_tokens=request.add_special_tokens)
        return dumps([
            [
                {"id": i, "text": text[start:stop] if not special else piece, "special": bool(special),
                 "start": None if special else start, "stop": None if special else stop}
                for i, piece, special, (start, stop) in zip(
                    encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
                )
            ]
            for text, encoding in zip(texts, encodings, strict=True)
        ])  # fmt: skip

    return Answer(await call.server.work.aside(make))


async def decode(call: Call) -> Answer:
    request = await call.decoded(_DECODE)
    call.served = call.server.models.find(call.name)
    limits = call.server.settings.limits
    if not request.ids:
        raise Problem("empty", "`ids` cannot be empty: expected a list of token ids, or a list of lists")
    if len(kinds := {isinstance(each, list) for each in request.ids}) > 1:
        raise Problem("invalid", "`ids`: expected a list of token ids, or a list of lists, got both in one list")
    lists: Any = request.ids if kinds == {True} else [request.ids]
    if len(lists) > limits.texts:
        raise Problem("length", f"`ids`: batch size {len(lists)} > maximum allowed batch size {limits.texts}")
    tokenizer = call.served.tokenizer
    texts = await call.server.work.aside(
        lambda: tokenizer.decode_batch(lists, skip_special_tokens=request.skip_special_tokens)
    )
    return Answer(dumps(texts))


async def info(call: Call) -> Answer:
    served, limits = call.server.models.first, call.server.settings.limits
    facts = served.facts
    return Answer(
        dumps(
            {
                "model_id": served.name,
                "model_sha": facts["revision"],
                "model_dtype": facts["precision"],
                "model_type": {"embedding": {"pooling": "mean"}},
                "max_concurrent_requests": limits.requests,
                "max_input_length": served.model.max_length,
                "max_batch_tokens": limits.texts * (served.model.max_length or limits.characters),
                "max_batch_requests": None,
                "max_client_batch_size": limits.texts,
                "auto_truncate": True,
                "tokenization_workers": call.server.settings.threads,
                "version": own_version(),
                "sha": None,
                "docker_label": None,
                "served_model_name": served.name,
                "models": [each.facts for each in call.server.models.all],
            }
        )
    )


_EXAMPLE = {"inputs": ["Salt the water before the pasta.", "The river froze in January."]}
_HF = "/hf-inference/models/{model}/pipeline/feature-extraction"


def _embedding(path: str, summary: str) -> Route:
    return Route(
        method="POST", path=path, handle=embed, style=tei, summary=summary, request=Embed,
        answer=list[list[float]], example=_EXAMPLE,
    )  # fmt: skip


ROUTES = (
    _embedding("/embed", "Vectors of texts"),
    _embedding("/", "As /embed, for clients that post to the address itself"),
    _embedding("/invocations", "As /embed, for SageMaker"),
    _embedding(_HF, "As /embed, where Hugging Face's inference providers have it"),
    Route(
        method="POST", path="/embed_all", handle=embed_all, style=tei, summary="A vector of each token",
        request=EmbedAll, answer=list[list[list[float]]], example={"inputs": "Take this."},
    ),
    Route(
        method="POST", path="/tokenize", handle=tokenize, style=tei, access="key",
        summary="Tokens of texts; places are in characters", request=Tokenize, answer=list[list[Token]],
        example={"inputs": "Take this.", "add_special_tokens": False},
    ),
    Route(
        method="POST", path="/decode", handle=decode, style=tei, access="key", summary="Texts of token ids",
        request=Decode, answer=list[str], example={"ids": [1000, 1001]},
    ),
    Route(method="GET", path="/info", handle=info, style=tei, access="key", summary="What is served", answer=dict),
)  # fmt: skip
