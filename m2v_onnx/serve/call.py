"""One request on its way through an API."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from m2v_onnx.errors import InvalidTextError
from m2v_onnx.serve.answers import ARROW_TYPE, RAW_TYPE, Answer, Items, arrow, joined, raw
from m2v_onnx.serve.metrics import Metrics
from m2v_onnx.serve.models import Models, Served
from m2v_onnx.serve.problems import Problem
from m2v_onnx.serve.settings import Settings
from m2v_onnx.serve.work import Work
from m2v_onnx.vectors.session import Vectors

LARGE_BODY = 1 << 18
"""Bytes of a body that is decoded in a thread: others would wait for it."""

Request = TypeVar("Request")
Out = TypeVar("Out")


class Headers(Protocol):
    def get(self, key: str, default: Any = None) -> Any: ...


@dataclass(slots=True)
class Server:
    """What a worker has, and all its requests share.

    :ivar opened: set when the models are open.
    """

    settings: Settings
    models: Models
    metrics: Metrics
    work: Work
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ready(self) -> bool:
        """Whether the models are open."""
        return self.opened.is_set()


@dataclass(slots=True)
class Call:
    """A request.

    :ivar name: of the model, where the path has one.
    :ivar single: whether it is about one text that is not in a list.
    :ivar tokens: of its texts, when they are counted.
    """

    server: Server
    headers: Headers
    body: bytes = b""
    name: str | None = None
    single: bool = False
    tokens: int = 0
    served: Served = field(init=False)

    async def decoded(self, decoder: "msgspec.json.Decoder[Request]", body: bytes | None = None) -> Request:
        """The body's JSON. :raises Problem: for what is none, or not of that shape."""
        body = self.body if body is None else body
        try:
            if len(body) <= LARGE_BODY:
                return decoder.decode(body)
            return await self.server.work.aside(decoder.decode, body)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$.")
            parameter = path.rstrip("`") or None
            raise Problem("invalid", f"{parameter}: {message}" if parameter else message, parameter=parameter) from None
        except RecursionError:
            raise Problem("json", "the body is nested too deep: expected a JSON object as the API has it") from None
        except UnicodeDecodeError as error:
            raise Problem("json", f"the body is no UTF-8 ({error.reason}): encode it as UTF-8") from None
        except msgspec.DecodeError as error:
            raise Problem("json", f"the body is no JSON ({error}): expected a JSON object as the API has it") from None

    def texts(self, given: str | Sequence[str], parameter: str, *, empty: bool = True) -> Sequence[str]:
        """Check a request's texts.

        :param empty: whether empty texts are allowed.
        :raises Problem: for more, longer or fewer than a request may have.
        """
        limits = self.server.settings.limits
        self.single = isinstance(given, str)
        texts: Sequence[str] = [given] if isinstance(given, str) else given
        if not texts:
            raise Problem(
                "empty", f"`{parameter}` cannot be empty: expected a text, or a list of them", parameter=parameter
            )
        if len(texts) > limits.texts:
            message = f"batch size {len(texts)} > maximum allowed batch size {limits.texts}: send them in more requests"
            raise Problem("length", f"`{parameter}`: {message}", parameter=parameter)
        lengths = [*map(len, texts)]
        if (longest := max(lengths)) > limits.characters:
            where = f"`{parameter}`: text {lengths.index(longest)} has {longest:,} characters"
            raise Problem("length", f"{where}, the most is {limits.characters:,}: cut it", parameter=parameter)
        if not empty and not min(lengths):
            where = f"`{parameter}` cannot be empty: text {lengths.index(0)} is"
            raise Problem("empty", f"{where}; leave it out", parameter=parameter)
        return texts

    def dimensions(self, wanted: int | None, parameter: str) -> int | None:
        """:raises Problem: for more dimensions than the model has, or none."""
        if wanted is not None and not 1 <= wanted <= self.served.model.dim:
            message = f"`{parameter}`: expected 1 to {self.served.model.dim}, which the model has, got {wanted}"
            raise Problem("invalid", message, parameter=parameter)
        return wanted

    async def vectors(
        self,
        texts: Sequence[str],
        form: Callable[[Vectors, int], Out],
        *,
        normalize: bool | None = None,
        dimensions: int | None = None,
    ) -> list[Out]:
        """As ``Work.vectors``, of ``served``; counts tokens. :raises Problem: for a text that cannot be tokenized."""
        model = self.served.model
        try:
            written, self.tokens = await self.server.work.vectors(
                model, texts, form, normalize=normalize, dimensions=dimensions
            )
        except InvalidTextError as error:
            raise Problem("invalid", str(error)) from None
        return written

    async def answer(
        self,
        texts: Sequence[str],
        items: Items,
        before: bytes,
        after: Callable[[], bytes],
        *,
        normalize: bool | None = None,
        dimensions: int | None = None,
    ) -> Answer:
        """Vectors in an API's JSON, or as a client accepts them: raw float32, or Arrow.

        :param before: the JSON before the list of them.
        :param after: makes the JSON behind it, when tokens are counted.
        """
        accept = self.headers.get("accept")
        kind = None if accept is None else accept.partition(",")[0].partition(";")[0].strip().lower()
        if kind == RAW_TYPE:
            blocks = await self.vectors(texts, raw, normalize=normalize, dimensions=dimensions)
            return Answer(b"".join(blocks), headers=self._binary(RAW_TYPE, len(texts), dimensions))
        if kind == ARROW_TYPE:
            parts = await self.vectors(texts, lambda some, _: some, normalize=normalize, dimensions=dimensions)
            try:
                body = await self.server.work.aside(lambda: arrow(np.concatenate(parts)))
            except ImportError:
                raise Problem("accept", f"{ARROW_TYPE} needs the package pyarrow: pip install pyarrow") from None
            return Answer(body, headers=self._binary(ARROW_TYPE, len(texts), dimensions))
        written = await self.vectors(texts, items, normalize=normalize, dimensions=dimensions)
        return Answer(joined(before, written, after()))

    def _binary(self, kind: str, texts: int, dimensions: int | None) -> list[tuple[str, str]]:
        shape = f"{texts},{dimensions or self.served.model.dim}"
        return [("content-type", kind), ("x-shape", shape), ("x-tokens", str(self.tokens))]
