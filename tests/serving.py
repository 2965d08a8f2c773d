"""A real server in a process of its own, on loopback."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

WAIT = 60
"""Seconds until a test that hangs is given up."""


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """:ivar log: what the server has written."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    trusted: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.trusted else ''}://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Reply:
        """POST where there is a body: bytes as they are, others as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, data, {"Content-Type": "application/json"} | named, method=method)
        try:
            with urlopen(request, timeout=WAIT, context=self.trusted) as response:
                return Reply(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
        except HTTPError as error:
            with error:
                return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def workers(self) -> list[int]:
        """Their process ids (Linux)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in children.read_text().split()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


COMMAND = ("-m", "m2v_onnx")
"""What Python is given to run the command."""


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, command: Sequence[str] = COMMAND, trusted: ssl.SSLContext | None = None,
    meanwhile: Callable[[Running], object] | None = None, **environment: str,
) -> Iterator[Running]:  # fmt: skip
    """``m2v-onnx serve`` with these arguments, ready; it must end with 0 after SIGTERM.

    :param trusted: for HTTPS.
    :param meanwhile: called before the server is ready.
    """
    port, log = free_port(), folder / "serve.log"
    command = [sys.executable, *command, "serve", *arguments, "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    server = Running(process, port, log, trusted)
    try:
        if meanwhile is not None:
            meanwhile(server)
        until = time.monotonic() + WAIT
        while not is_ready(server):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.02)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(WAIT)
    assert code == 0 or os.name == "nt", log.read_text()


def assert_vectors(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found, np.float32), expected, rtol=0, atol=1e-6)


def is_ready(server: Running) -> bool:
    """Ten times over, which meets each of two workers."""
    try:
        return all(server.ask("/health").status == 200 for _ in range(10))
    except OSError:
        return False
