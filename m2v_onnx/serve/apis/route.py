"""What a route is."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from msgspec import Struct

from m2v_onnx.serve.answers import Answer
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.problems import Style

Access = Literal["vectors", "key", "open"]
"""Who may ask: for vectors, with a key when there are keys, and counted; with a key; everybody."""


class Route(Struct, frozen=True, kw_only=True):
    """A path, and what answers there.

    :ivar path: with ``{model}`` where a model's name stands.
    :ivar style: how its errors look.
    :ivar summary: a line for the OpenAPI document.
    :ivar request: a msgspec struct, the JSON that it takes; None where it takes none.
    :ivar answer: the type of the JSON that it gives; None for other answers.
    :ivar example: a request, for the OpenAPI document and the page.
    """

    method: Literal["GET", "POST"]
    path: str
    handle: Callable[[Call], Awaitable[Answer]]
    style: Style
    summary: str
    access: Access = "vectors"
    request: Any = None
    answer: Any = None
    example: dict[str, Any] | None = None
