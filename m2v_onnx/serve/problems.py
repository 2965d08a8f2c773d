"""What can be wrong with a request, and how each API says it."""

from collections.abc import Callable
from typing import Literal

import orjson

from m2v_onnx.serve.answers import JSON, Answer

Kind = Literal[
    "empty", "json", "invalid", "length", "large", "slow", "model", "key", "path", "method", "accept", "overloaded",
    "starting", "broken",
]  # fmt: skip

STATUS: dict[Kind, int] = {
    "empty": 400,
    "json": 400,
    "invalid": 400,
    "length": 400,
    "large": 413,
    "slow": 408,
    "model": 404,
    "key": 401,
    "path": 404,
    "method": 405,
    "accept": 406,
    "overloaded": 429,
    "starting": 503,
    "broken": 500,
}

RETRY_SECONDS = 1
"""What clients are told to wait for after 429 and 503: large requests are done by then, and models open."""


class Problem(Exception):
    """A request that is not answered as it was asked.

    :ivar kind: decides the status.
    :ivar parameter: the JSON key that is wrong; None where it is none.
    :ivar headers: of the answer.
    """

    def __init__(
        self, kind: Kind, message: str, *, parameter: str | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.parameter, self.headers = parameter, headers
        if kind in ("overloaded", "starting"):
            self.headers += (("retry-after", str(RETRY_SECONDS)),)
        if kind == "key":
            self.headers += (("www-authenticate", "Bearer"),)


Style = Callable[[Problem], Answer]


def _answer(problem: Problem, body: object, status: int | None = None) -> Answer:
    return Answer(orjson.dumps(body), status or STATUS[problem.kind], [*JSON, *problem.headers])


TEI_TYPES: dict[Kind, tuple[str, int]] = {
    "empty": ("Empty", 400),
    "invalid": ("Validation", 422),
    "length": ("Validation", 422),
    "json": ("Validation", 400),
    "overloaded": ("Overloaded", 429),
    "starting": ("Unhealthy", 503),
    "broken": ("Backend", 424),
}
"""text-embeddings-inference's names of errors, and its statuses."""


def tei(problem: Problem) -> Answer:
    name, status = TEI_TYPES.get(problem.kind, ("Validation", STATUS[problem.kind]))
    return _answer(problem, {"error": str(problem), "error_type": name}, status)


OPENAI_TYPES: dict[Kind, tuple[str, str | None]] = {
    "model": ("invalid_request_error", "model_not_found"),
    "key": ("authentication_error", "invalid_api_key"),
    "overloaded": ("rate_limit_error", "server_overloaded"),
    "starting": ("server_error", "server_starting"),
    "broken": ("server_error", None),
}


def openai(problem: Problem) -> Answer:
    """OpenAI's error, and its message on the top level too, where text-embeddings-inference has it on these routes."""
    kind, code = OPENAI_TYPES.get(problem.kind, ("invalid_request_error", None))
    message = str(problem)
    error = {"message": message, "type": kind, "param": problem.parameter, "code": code}
    return _answer(problem, {"error": error, "message": message})


def error_only(problem: Problem) -> Answer:
    """Ollama's and KServe's."""
    return _answer(problem, {"error": str(problem)})


def message_only(problem: Problem) -> Answer:
    """Cohere's."""
    return _answer(problem, {"message": str(problem)})
