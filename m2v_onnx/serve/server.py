"""Starting granian, an HTTP server written in Rust, and its workers.

Why granian: it closes connections whose headers take too long, which uvicorn does not; it replaces workers that die;
and its own interface leaves little to do for each request. Its weak side: it takes an answer whole, however slowly
the client reads.

Why msgspec reads JSON: it checks types while it reads, says where they are wrong, and its structs make the OpenAPI
document. Why orjson writes it: it takes numpy's arrays as they are, and gives float32 as few digits as it needs.
"""

import gc
import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from m2v_onnx.errors import MissingExtraError
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.serve import metrics
from m2v_onnx.serve.settings import Settings
from m2v_onnx.vectors.forks import FORKS

PACKAGES = ("granian", "msgspec", "orjson", "prometheus_client")

CONNECTIONS = 8192
"""Open connections a worker. More wait until one is closed."""

END_SECONDS = 30
"""Until a worker is killed that does not end: what it is working on is done by then."""


def check_extra() -> None:
    """:raises MissingExtraError: when a package is missing that a server needs."""
    from importlib.util import find_spec

    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError("m2v-onnx serve", "serve", package)


def serve(settings: Settings, models: Mapping[str, OnnxStaticModel]) -> None:
    """Answer requests until SIGTERM or SIGINT: then finish what was begun, and return.

    :raises OSError: when the address is in use, or not this machine's.
    :raises MissingExtraError: when a package is missing.
    """
    check_extra()
    _check_address(settings)
    _allow_files()
    with tempfile.TemporaryDirectory(prefix="m2v-onnx-serve-", ignore_cleanup_errors=True) as folder:
        if settings.workers > 1:
            metrics.share(Path(folder))
            import prometheus_client  # noqa: F401  # before workers are forked, which then share its memory
        with _absent("anyio", "dotenv", "setproctitle", "watchfiles", "typing_extensions"):
            from granian.constants import HTTPModes, Interfaces
            from granian.http import HTTP1Settings
            from granian.log import LogLevels
            from granian.server import Server

            from m2v_onnx.serve import app  # noqa: F401  # which imports msgspec

        if sys.platform == "linux":  # where Python 3.14 and later have another way, in which no memory is shared
            multiprocessing.set_start_method("fork", force=True)
            _share(models)
        certificate, key = settings.certificate or (None, None)
        server = Server(
            "m2v-onnx",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.RSGI,
            workers=settings.workers,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=round(1000 * settings.limits.seconds)),
            websockets=False,
            backlog=1024,
            backpressure=CONNECTIONS,
            log_level=LogLevels.info if settings.log_requests else LogLevels.warning,
            log_access=settings.log_requests,
            ssl_cert=certificate,
            ssl_key=key,
            respawn_failed_workers=True,
            workers_kill_timeout=END_SECONDS,
        )
        names = ", ".join(models)
        print(f"m2v-onnx serve: {settings.url} {names}; workers: {settings.workers}", file=sys.stderr, flush=True)
        gc.freeze()  # what is there stays: a worker's collector neither looks at it nor writes into shared memory
        gc.enable()
        server.serve(target_loader=partial(_load, settings, dict(models)), wrap_loader=False)


def _load(settings: Settings, models: Mapping[str, OnnxStaticModel]) -> Any:
    """A worker's application. A worker that is forked has the models already, one that is spawned opens them anew."""
    from m2v_onnx.serve.app import Application

    return Application(settings, models)


def _share(models: Mapping[str, OnnxStaticModel]) -> None:
    """Open all that a worker needs before it is forked: each of them has it at once, and memory for it once.

    Only with nanotoken: the other tokenizers' threads would not be in the workers.

    :raises InvalidModelError: for a damaged file.
    """
    from m2v_onnx.serve.models import warm_up  # here, as it needs the extra

    if all(model.tokens_from == "nanotoken" for model in models.values()):
        for model in models.values():
            warm_up(model)
        FORKS.rest()


@contextmanager
def _absent(*packages: str) -> Iterator[None]:
    """Let packages not be found. granian and msgspec import these where they are installed, for what is not used here:
    it takes some 10 ms of a start.
    """
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


def _check_address(settings: Settings) -> None:
    """Workers share the port, so another server on it would not be noticed: it would get half of the requests."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(f"{settings.host}:{settings.port}: {reason}: give another --port or --host") from error


def _allow_files() -> None:
    """Let the process have as many files, and so connections, as the system allows it."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = CONNECTIONS + 1024
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
