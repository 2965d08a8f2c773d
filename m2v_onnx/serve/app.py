"""A worker's application, in granian's own interface (RSGI): from a request to the route that answers it."""

import asyncio
import logging
import os
import re
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from threading import Thread
from time import perf_counter, sleep
from typing import Any, TypeVar
from urllib.parse import unquote

from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.serve.answers import Answer, dumps
from m2v_onnx.serve.apis import cohere, house, kserve, ollama, openai, tei
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call, Server
from m2v_onnx.serve.metrics import Metrics
from m2v_onnx.serve.models import Models
from m2v_onnx.serve.problems import Problem, Style
from m2v_onnx.serve.problems import tei as tei_style
from m2v_onnx.serve.settings import Settings
from m2v_onnx.serve.sockets import drop_stalled
from m2v_onnx.serve.work import Work

ROUTES: tuple[Route, ...] = (
    *tei.ROUTES, *openai.ROUTES, *ollama.ROUTES, *kserve.ROUTES, *cohere.ROUTES, *house.ROUTES,
)  # fmt: skip

SMALL_BODY = 1 << 16
"""Bytes of a body that does not count as waiting."""

METRICS_AFTER = 1
"""Seconds from a worker's start until prometheus_client is imported, where nobody asks for metrics before: 30 ms that a
start need not wait for. Of several workers the parent has imported it, so that they share its memory."""

_LATE = "a body took too long"

Read = TypeVar("Read")

log = logging.getLogger("m2v_onnx")


class Application:
    """What granian calls. One in each worker."""

    def __init__(self, settings: Settings, models: Mapping[str, OnnxStaticModel]) -> None:
        metrics = Metrics()
        if settings.workers > 1:
            metrics.open()
        self._settings, self._limits = settings, settings.limits
        self._server = Server(settings, Models(models), metrics, Work(settings.threads, metrics))
        self._waiting, self._guarded = 0, False
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._paths: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []

        def document() -> Answer:
            from m2v_onnx.serve import openapi  # here, as most servers are asked for neither

            return Answer(dumps(openapi.document(routes, self._server.models.first.name, keys=bool(settings.keys))))

        def for_people() -> Answer:
            from m2v_onnx.serve import page

            return Answer(page.content(routes, self._server.models, settings), headers=page.HEADERS)

        own = (
            Route(
                method="GET", path="/openapi.json", style=tei_style, access="open", summary="This document",
                handle=_constant(document),
            ),
            Route(
                method="GET", path="/", style=tei_style, access="open", summary="A page for people",
                handle=_constant(for_people),
            ),
        )  # fmt: skip
        routes = (*ROUTES, *own)
        for route in routes:
            if "{model}" in route.path:
                self._add_pattern(route)
            else:
                self._paths.setdefault(route.path, {})[route.method] = route

    def _add_pattern(self, route: Route) -> None:
        # A model's name may have a slash in it, as the Hub's have.
        pattern = re.compile(re.escape(route.path).replace(re.escape("{model}"), "(.+)"))
        for known, methods in self._patterns:
            if known.pattern == pattern.pattern:
                methods[route.method] = route
                return
        self._patterns.append((pattern, {route.method: route}))
        self._patterns.sort(key=lambda each: -len(each[0].pattern))  # /models/{model}/ready before /models/{model}

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the models in a thread: health answers meanwhile."""
        self._loop = loop
        loop.call_soon(self._tick)  # when the loop runs, and the server listens
        Thread(target=self._open, daemon=True).start()

    def _tick(self) -> None:
        """Each second: flush the counts, and give bodies up that take too long. A timer for each would cost more.

        At first also look for the socket that listens, until it is there.
        """
        self._server.metrics.flush()
        if not self._guarded:
            self._guarded = sys.platform != "linux" or drop_stalled(self._limits.seconds)
        late = perf_counter() - self._limits.seconds
        for task, began in self._reading.items():
            if began < late:
                task.cancel(_LATE)
        self._loop.call_later(1, self._tick)

    def _open(self) -> None:
        try:
            for served in self._server.models.all:
                served.warm_up()
        except Exception:
            log.exception("the models cannot be opened, so this worker ends")
            os._exit(1)  # from a thread; the server starts another one, and ends when that fails too
        with suppress(RuntimeError):  # the loop is closed: the server ends already
            self._loop.call_soon_threadsafe(self._server.opened.set)
            sleep(METRICS_AFTER)
            import prometheus_client  # noqa: F401  # in this thread, while requests are answered

            self._loop.call_soon_threadsafe(self._server.metrics.open)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._server.work.close()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        if scope.proto != "http":
            protocol.close(404)
            return
        style: Style = tei_style
        call, began, counted = None, perf_counter(), False
        try:
            route, name = self._find(scope.path, scope.method)
            style, counted = route.style, route.access == "vectors"
            headers = scope.headers
            if self._settings.keys and route.access != "open":
                self._check_key(headers)
            call = Call(self._server, headers, b"", name)
            if route.method == "GET":
                answer = await route.handle(call)
            else:
                answer = await self._post(route, call, protocol)
                if counted:
                    self._server.metrics.answered(call.single, perf_counter() - began, call.tokens)
        except Problem as problem:
            answer = style(problem)
            if scope.method == "POST" and not (call is not None and call.body) and problem.kind != "slow":
                await self._discard(protocol, scope.headers.get("expect") is not None)
            if counted:
                self._server.metrics.failed(call is not None and call.single, problem.kind)
        except Exception as error:
            # Neither its message nor its values: they may hold a client's text.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s %s failed with %s:\n%s", scope.method, scope.path, type(error).__name__, where)
            answer = style(Problem("broken", f"the server failed ({type(error).__name__}); its log says where"))
            if counted:
                self._server.metrics.failed(call is not None and call.single, "broken")
        headers_out = answer.headers
        if self._settings.origins:
            headers_out = [*headers_out, *self._cors(scope.headers)]
        if scope.method == "HEAD":
            protocol.response_empty(answer.status, headers_out)
        else:
            protocol.response_bytes(answer.status, headers_out, answer.body)

    def _find(self, path: str, method: str) -> tuple[Route, str | None]:
        """The route, and the model's name in its path."""
        methods, name = self._paths.get(path), None
        if methods is None:
            for pattern, known in self._patterns:
                if (match := pattern.fullmatch(path)) is not None:
                    methods, name = known, unquote(match[1])
                    break
            else:
                raise Problem("path", f"there is nothing at {path[:200]}: GET / shows what there is")
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if route is None:
            if method == "OPTIONS" and self._settings.origins:
                return _PREFLIGHT, None
            allowed = ", ".join(sorted(methods))
            raise Problem("method", f"{path[:200]} takes {allowed}, got {method[:20]}", headers=(("allow", allowed),))
        return route, name

    def _check_key(self, headers: Any) -> None:
        """:raises Problem: without a key that is known."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key") or headers.get("api-key") or ""
        if not key:
            raise Problem("key", "an API key is needed: send the header `Authorization: Bearer KEY`")
        if not self._settings.keys.know(key.strip()):
            raise Problem("key", "the API key is not known here")

    async def _post(self, route: Route, call: Call, protocol: Any) -> Answer:
        """Read the body, and answer as far as the limits let it.

        :raises Problem: for a body that is too large or too slow, and when there is as much to do as is allowed.
        """
        limits, held = self._limits, 0
        length = call.headers.get("content-length")
        size = int(length) if length is not None and length.isdecimal() else None
        if size is not None and size > limits.body:
            raise self._too_large(size)
        try:
            if size is not None and size > SMALL_BODY:
                held = self._hold(size)
            try:
                call.body = await self._in_time(protocol() if size is not None else self._chunks(protocol))
            except TimeoutError:
                raise Problem("slow", f"the body was not there after {limits.seconds:g} seconds") from None
            if size is None and len(call.body) > SMALL_BODY:
                held = self._hold(len(call.body))
            metrics = self._server.metrics
            if metrics.running >= limits.requests:
                raise Problem("overloaded", f"{metrics.running} requests are worked on: come back in a second")
            metrics.running += 1
            try:
                if not self._server.ready:
                    await self._opened()
                return await route.handle(call)
            finally:
                metrics.running -= 1
        finally:
            self._waiting -= held

    async def _opened(self) -> None:
        """Hold a request until the models are open: clients do not choose their worker, and another one may have said
        that the server is ready.

        :raises Problem: when it takes too long.
        """
        seconds = self._limits.seconds
        try:
            await asyncio.wait_for(self._server.opened.wait(), seconds)
        except TimeoutError:
            raise Problem("starting", f"the models are still opened after {seconds:g} seconds: come back") from None

    async def _in_time(self, reading: Awaitable[Read]) -> Read:
        """Wait for what a client sends. :raises TimeoutError: when it takes too long."""
        task = asyncio.current_task()
        assert task is not None
        self._reading[task] = perf_counter()
        try:
            return await reading
        except asyncio.CancelledError as error:
            if error.args != (_LATE,):
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._reading[task]

    async def _chunks(self, protocol: Any) -> bytes:
        """A body whose length nobody said. One that is too large is read to its end, as in ``_discard``."""
        body, size = bytearray(), 0
        async for chunk in protocol:
            size += len(chunk)
            if size <= self._limits.body:
                body += chunk
        if size > self._limits.body:
            raise self._too_large(size)
        return bytes(body)

    def _too_large(self, size: int) -> Problem:
        return Problem(
            "large", f"the body has {size:,} bytes, the most is {self._limits.body:,}: send fewer texts at a time"
        )

    def _hold(self, size: int) -> int:
        """Count a large body. :raises Problem: when there are too many bytes of them."""
        if self._waiting + size > self._limits.waiting:
            raise Problem("overloaded", f"{self._waiting:,} bytes of requests wait already: come back in a second")
        self._waiting += size
        return size

    async def _discard(self, protocol: Any, expects_100: bool) -> None:
        """Read a body that is refused, and keep nothing of it: most clients read an answer when all is sent, and would
        see a broken connection instead. Those that ask before they send (curl, above 1 MB) are told to send nothing."""
        if expects_100:
            return

        async def read() -> None:
            async for _ in protocol:
                pass

        with suppress(Exception):
            await self._in_time(read())

    def _cors(self, headers: Any) -> list[tuple[str, str]]:
        origin = headers.get("origin")
        if origin is None or not {origin, "*"} & {*self._settings.origins}:
            return []
        return [("access-control-allow-origin", origin), ("vary", "origin")]


async def _preflight(call: Call) -> Answer:
    allowed = [
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "authorization, content-type, accept"),
        ("access-control-max-age", "600"),
    ]
    return Answer(status=204, headers=allowed)


_PREFLIGHT = Route(
    method="GET",
    path="*",
    handle=_preflight,
    style=tei_style,
    access="open",
    summary="What a browser asks before it asks",
)


def _constant(make: Callable[[], Answer]) -> Callable[[Call], Any]:
    """A route whose answer is made when it is first asked for."""
    made: list[Answer] = []

    async def handle(call: Call) -> Answer:
        if not made:
            made.append(make())
        return made[0]

    return handle
