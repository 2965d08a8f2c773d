"""KServe's open inference protocol, version 2, with its extension for binary tensors: Triton's clients speak it too."""

import struct
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from m2v_onnx.serve.answers import RAW_TYPE, Answer, dumps, flat, joined, raw
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.models import Served, own_version
from m2v_onnx.serve.problems import Problem, error_only

JSON_LENGTH = "inference-header-content-length"
"""The header with the bytes of JSON in a body that goes on with binary tensors."""

TEXT, EMBEDDING = "text", "embedding"


class Input(Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[str | list[str]] | None = None
    parameters: dict[str, Any] | None = None


class WantedOutput(Struct):
    name: str
    parameters: dict[str, Any] | None = None


class Infer(Struct):
    inputs: list[Input]
    id: str | None = None
    outputs: list[WantedOutput] | None = None
    parameters: dict[str, Any] | None = None


class Output(Struct):
    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class Inferred(Struct, omit_defaults=True):
    model_name: str
    outputs: list[Output]
    id: str | None = None


_INFER = msgspec.json.Decoder(Infer)


async def infer(call: Call) -> Answer:
    length = call.headers.get(JSON_LENGTH)
    size = int(length) if length is not None and length.isdecimal() else len(call.body)
    if size > len(call.body):
        raise Problem("invalid", f"{JSON_LENGTH} is {size}, and the body has {len(call.body)} bytes")
    request = await call.decoded(_INFER, call.body[:size])
    served = call.served = call.server.models.find(call.name)
    if len(request.inputs) != 1:
        raise Problem("invalid", f"inputs: expected one tensor, {TEXT}, got {len(request.inputs)}")
    (tensor,) = request.inputs
    texts = call.texts(_texts(tensor, call.body[size:]), "inputs")
    outputs = request.outputs or [WantedOutput(EMBEDDING)]
    if [output.name for output in outputs] != [EMBEDDING]:
        raise Problem("invalid", f"outputs: expected one, {EMBEDDING}, got {[output.name for output in outputs][:5]}")
    head: dict[str, Any] = {"model_name": served.name}
    if request.id is not None:
        head["id"] = request.id
    about = {"name": EMBEDDING, "datatype": "FP32", "shape": [len(texts), served.model.dim]}
    if _flag(outputs[0].parameters, "binary_data") or _flag(request.parameters, "binary_data_output"):
        content = b"".join(await call.vectors(texts, raw))
        outputs_json = [{**about, "parameters": {"binary_data_size": len(content)}}]
        begin = dumps({**head, "outputs": outputs_json})
        headers = [("content-type", RAW_TYPE), (JSON_LENGTH, str(len(begin)))]
        return Answer(begin + content, headers=headers)
    written = await call.vectors(texts, flat)
    before = b'%b,"outputs":[%b,"data":[' % (dumps(head)[:-1], dumps(about)[:-1])
    return Answer(joined(before, written, b"]}]}"))


def _flag(parameters: dict[str, Any] | None, name: str) -> bool:
    return bool(parameters and parameters.get(name))


def _texts(tensor: Input, binary: bytes) -> list[str]:
    """:raises Problem: for a tensor that is no list of texts."""
    if tensor.datatype != "BYTES":
        raise Problem("invalid", f"inputs[0].datatype: expected BYTES, got {tensor.datatype[:40]!r}")
    size = (tensor.parameters or {}).get("binary_data_size")
    if size is not None:
        if size != len(binary):
            raise Problem("invalid", f"inputs[0]: binary_data_size is {size!r}, {len(binary)} bytes came")
        texts = _unpacked(binary)
    elif tensor.data is None:
        raise Problem("invalid", "inputs[0].data: expected a list of texts, got none")
    else:
        texts = [text for each in tensor.data for text in ([each] if isinstance(each, str) else each)]
    if len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ([], [1]) or tensor.shape[0] != len(texts):
        raise Problem(
            "invalid", f"inputs[0].shape: expected [{len(texts)}] or [{len(texts)}, 1], got {tensor.shape[:5]}"
        )
    return texts


def _unpacked(binary: bytes) -> list[str]:
    """Each text behind its length, four bytes, little-endian."""
    texts: list[str] = []
    at = 0
    while at < len(binary):
        end = at + 4
        if end <= len(binary):
            end += struct.unpack_from("<I", binary, at)[0]
        if end > len(binary):
            raise Problem("invalid", f"inputs[0]: text {len(texts)} ends behind the body: its length is wrong")
        try:
            texts.append(binary[at + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise Problem("invalid", f"inputs[0]: text {len(texts)} is no UTF-8 ({error.reason})") from None
        at = end
    return texts


async def server(call: Call) -> Answer:
    return Answer(dumps({"name": "m2v-onnx", "version": own_version(), "extensions": ["binary_tensor_data"]}))


async def model(call: Call) -> Answer:
    served: Served = call.server.models.find(call.name)
    return Answer(
        dumps(
            {
                "name": served.name,
                "versions": ["1"],
                "platform": "onnxruntime_onnx",
                "inputs": [{"name": TEXT, "datatype": "BYTES", "shape": [-1]}],
                "outputs": [{"name": EMBEDDING, "datatype": "FP32", "shape": [-1, served.model.dim]}],
            }
        )
    )


async def model_ready(call: Call) -> Answer:
    served = call.server.models.find(call.name)
    return Answer(dumps({"name": served.name, "ready": call.server.ready}), 200 if call.server.ready else 503)


async def live(call: Call) -> Answer:
    return Answer(b'{"live":true}')


async def ready(call: Call) -> Answer:
    return Answer(dumps({"ready": call.server.ready}), 200 if call.server.ready else 503)


_get = partial(Route, method="GET", style=error_only, access="key", answer=dict)

ROUTES = (
    Route(
        method="POST", path="/v2/models/{model}/infer", handle=infer, style=error_only,
        summary="Vectors of texts, for KServe's and Triton's clients", request=Infer, answer=Inferred,
        example={"inputs": [{"name": TEXT, "shape": [1], "datatype": "BYTES", "data": ["Salt the water."]}]},
    ),
    _get(path="/v2", handle=server, summary="What the server is"),
    _get(path="/v2/models/{model}", handle=model, summary="What a model takes and gives"),
    _get(path="/v2/models/{model}/ready", handle=model_ready, summary="Whether a model is ready", access="open"),
    _get(path="/v2/health/live", handle=live, summary="Whether the server runs", access="open"),
    _get(path="/v2/health/ready", handle=ready, summary="Whether the server is ready", access="open"),
)  # fmt: skip
