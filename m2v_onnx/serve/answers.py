"""Answers, and how vectors are written into them."""

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from m2v_onnx.vectors.session import Vectors

JSON = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; charset=utf-8")]
RAW_TYPE = "application/octet-stream"
ARROW_TYPE = "application/vnd.apache.arrow.stream"


@dataclass(slots=True)
class Answer:
    """:ivar headers: their names in lower case."""

    body: bytes = b""
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=lambda: JSON)


Items = Callable[[Vectors, int], bytes]
"""Some vectors, and the number of the first, as items of a JSON list, without its brackets."""


def dumps(value: Any) -> bytes:
    """JSON; numpy's arrays are lists, and each float32 has the fewest digits that give it back."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def rows(vectors: npt.NDArray[Any], first: int = 0) -> bytes:
    """Vectors as lists of numbers."""
    return dumps(np.ascontiguousarray(vectors))[1:-1]


def flat(vectors: npt.NDArray[Any], first: int = 0) -> bytes:
    """All numbers in one list."""
    return dumps(np.ascontiguousarray(vectors).reshape(-1))[1:-1]


def raw(vectors: Vectors, first: int = 0) -> bytes:
    """float32, little-endian, a row after the other."""
    return vectors.astype("<f4", copy=False).tobytes()


def base64_rows(vectors: npt.NDArray[Any]) -> list[bytes]:
    """Each vector's bytes in base64, little-endian."""
    content = vectors.astype(vectors.dtype.newbyteorder("<"), copy=False).tobytes()
    width = len(content) // len(vectors)
    encode = binascii.b2a_base64
    return [encode(content[i : i + width], newline=False) for i in range(0, len(content), width)]


def joined(before: bytes, items: Sequence[bytes], after: bytes) -> bytes:
    """A JSON list in an envelope."""
    return b"".join((before, b",".join(items), after))


def arrow(vectors: Vectors) -> bytes:
    """A stream of Arrow's IPC format with one column, ``embedding``, a fixed-size list of float32 a row.

    :raises ImportError: without pyarrow.
    """
    import pyarrow as pa

    values = pa.array(vectors.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])
    batch = pa.record_batch([column], names=["embedding"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content
