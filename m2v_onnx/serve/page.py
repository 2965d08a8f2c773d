"""The page at /, for people in a browser: one file, with nothing from elsewhere."""

import html
import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template

from m2v_onnx.serve.apis.route import Route
from m2v_onnx.serve.models import Models
from m2v_onnx.serve.openapi import example
from m2v_onnx.serve.settings import Settings


def _part(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


_SCRIPT, _STYLE = _part("page.js"), _part("page.css")


def _digest(content: str) -> str:
    return "'sha256-" + b64encode(sha256(content.encode()).digest()).decode() + "'"


HEADERS = [
    ("content-type", "text/html; charset=utf-8"),
    (
        "content-security-policy",
        f"default-src 'none'; script-src {_digest(_SCRIPT)}; style-src {_digest(_STYLE)}; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]


def content(routes: Sequence[Route], models: Models, settings: Settings) -> bytes:
    """The page, with the models and routes of this server."""
    names = "".join(f"<option>{html.escape(served.name)}</option>" for served in models.all)
    page = Template(_part("page.html")).substitute(
        style=_STYLE,
        script=_SCRIPT,
        models=names,
        hidden="" if settings.keys else " hidden",
        routes="\n".join(_row(route, models.first.name, settings) for route in routes),
    )
    return page.encode()


def _row(route: Route, model: str, settings: Settings) -> str:
    path = route.path.replace("{model}", model)
    # 0.0.0.0 is where a server listens, and nowhere to ask.
    command = f"curl {settings.url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')}{path}"
    if settings.keys and route.access != "open":
        command += " -H 'Authorization: Bearer KEY'"
    if route.example is not None:
        command += f" -H 'Content-Type: application/json' -d '{json.dumps(example(route, model))}'"
    cells = (route.method, route.path, route.summary, command)
    method, shown, summary, line = map(html.escape, cells)
    return f"<tr><td>{method} {shown}<td>{summary}<td><code>{line}</code>"
