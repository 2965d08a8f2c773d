"""What belongs to no client's API: health, counts, the OpenAPI document, and the page for people in a browser."""

from functools import partial

from m2v_onnx.serve.answers import JSON, TEXT, Answer, dumps
from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.call import Call
from m2v_onnx.serve.problems import tei


async def health(call: Call) -> Answer:
    """200 when requests are answered, 503 while the models are still opened."""
    return Answer(
        dumps({"status": "ready" if call.server.ready else "starting"}), 200 if call.server.ready else 503, JSON
    )


async def metrics(call: Call) -> Answer:
    return Answer(call.server.metrics.exposed(), headers=[("content-type", "text/plain; version=0.0.4; charset=utf-8")])


async def robots(call: Call) -> Answer:
    return Answer(b"User-agent: *\nDisallow: /\n", headers=TEXT)


_get = partial(Route, method="GET", style=tei)

ROUTES = (
    _get(path="/health", handle=health, access="open", summary="Whether the server is ready: 200 or 503", answer=dict),
    _get(path="/ping", handle=health, access="open", summary="As /health, for SageMaker", answer=dict),
    _get(path="/metrics", handle=metrics, access="key", summary="Counts for Prometheus"),
    _get(path="/robots.txt", handle=robots, access="open", summary="Keeps search engines out"),
)
