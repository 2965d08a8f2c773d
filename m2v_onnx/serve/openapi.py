"""The OpenAPI document, made of the routes and of the structs that their JSON is decoded into."""

from collections.abc import Sequence
from typing import Any

import msgspec

from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.models import own_version
from m2v_onnx.serve.problems import STATUS, TEI_TYPES, tei

REFERENCE = "#/components/schemas/{name}"


def document(routes: Sequence[Route], model: str, *, keys: bool) -> dict[str, Any]:
    """:param model: the first model's name, for the examples. :param keys: whether API keys are asked for."""
    types = [kind for route in routes for kind in (route.request, route.answer) if kind is not None]
    made, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    schemas = iter(made)
    paths: dict[str, Any] = {}
    for route in routes:
        operation: dict[str, Any] = {"summary": route.summary, "responses": {}}
        if "{model}" in route.path:
            operation["parameters"] = [
                {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}, "example": model}
            ]
        if route.request is not None:
            body: dict[str, Any] = {"schema": next(schemas)}
            if route.example is not None:
                body["example"] = example(route, model)
            operation["requestBody"] = {"required": True, "content": {"application/json": body}}
        good: dict[str, Any] = {"description": "As asked for"}
        if route.answer is not None:
            good["content"] = {"application/json": {"schema": next(schemas)}}
        operation["responses"]["200"] = good
        for status in _statuses(route):
            operation["responses"][str(status)] = {"description": WHAT[status]}
        if keys and route.access != "open":
            operation["security"] = [{"key": []}]
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    components = {"schemas": components}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "m2v-onnx",
            "version": own_version(),
            "description": "Static embeddings (Model2Vec) in onnxruntime, in the shapes that existing clients speak.",
        },
        "paths": paths,
        "components": components,
    }


def example(route: Route, model: str) -> dict[str, Any]:
    """A route's example, with the name of a model that is there."""
    values = dict(route.example or {})
    return values | {"model": model} if "model" in values else values


WHAT = {
    400: "The body is no JSON, is not of this shape, or has no texts",
    401: "An API key is missing or unknown",
    404: "There is no such model",
    406: "That type of answer cannot be made here",
    408: "The body took too long",
    413: "The body is too large",
    422: "The JSON is not of this shape, or has more than is allowed",
    424: "The model failed",
    429: "The server has as much to do as it takes: come back after Retry-After seconds",
    500: "The server failed",
    503: "The models are still opened",
}


def _statuses(route: Route) -> list[int]:
    statuses = {STATUS["key"]} if route.access != "open" else set()
    if "{model}" in route.path:
        statuses.add(404)
    if route.path in ("/health", "/ping", "/v2/health/ready") or route.path.endswith("/ready"):
        statuses.add(503)
    if route.method == "POST":
        statuses |= {STATUS[kind] for kind in STATUS if kind not in ("path", "method")}
        if route.style is tei:
            statuses |= {status for _, status in TEI_TYPES.values()}
    return sorted(statuses)
