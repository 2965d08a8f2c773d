"""Clients that are slow, rude or many, workers that are killed, and the other ways to run: HTTPS, and spawn."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import BAG
from tests.conftest import CORPUS, POTION_BUNDLE
from tests.serving import WAIT, Reply, Running, assert_vectors, free_port, is_ready, running

pytest.importorskip("granian", reason="the extra serve is not installed")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, /proc")

LARGE = {"inputs": ["word " * 600] * 1000}
"""Takes a worker some tenths of a second."""

HUGE = 100_000_000
"""Bytes of a body that nobody wants."""

MEGABYTES = 40
"""That a worker may grow by in a test: numpy, JSON and malloc have their ways."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("abuse"), str(POTION_BUNDLE), "--timeout", "1", "--log-requests") as found:
        yield found


def peak(server: Running) -> float:
    """The most that a worker has had in memory, in megabytes."""
    (worker,) = server.workers()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def fine(server: Running) -> bool:
    return server.ask("/embed", {"inputs": "a"}).status == 200


def until(true: Callable[[], object], seconds: float = WAIT) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def queued(server: Running) -> float:
    found = re.search(r"^te_queue_size (\S+)$", server.ask("/metrics").body.decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def closed(connection: socket.socket) -> bool:
    """Whether the server ends a connection, with or without a last word."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return True


def test_clients_that_say_nothing_are_let_go(server: Running) -> None:
    silent = [server.connect() for _ in range(50)]
    asked_once = server.connect()
    asked_once.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert fine(server)
    for each in [*silent, asked_once]:
        with each:
            assert closed(each)


def test_headers_that_come_a_byte_at_a_time_are_given_up(server: Running) -> None:
    slow = [server.connect() for _ in range(50)]
    for each in slow:
        each.sendall(b"POST /embed HTTP/1.1\r\nX-Slow: ")
    given_up = 0
    for _ in range(100):  # ten seconds at most, of headers that never end
        for each in slow[:]:
            try:
                each.sendall(b"a")
            except OSError:
                slow.remove(each)
                each.close()
                given_up += 1
        assert fine(server)
        if not slow:
            break
        time.sleep(0.1)
    assert given_up == 50


def test_a_body_that_comes_a_byte_at_a_time_is_given_up(server: Running) -> None:
    with server.connect() as slow:
        slow.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        slow.settimeout(0.1)
        answer = b""
        for _ in range(100):
            slow.sendall(b" ")
            try:
                answer = slow.recv(1000)
                break
            except TimeoutError:
                pass
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert fine(server)


def test_clients_that_leave_in_the_middle_leave_nothing(server: Running) -> None:
    body = json.dumps(LARGE).encode()
    head = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    for part in (head[:20], head, head + body[: len(body) // 2], head + body):
        for _ in range(3):
            with server.connect() as gone:
                gone.sendall(part)
    until(lambda: queued(server) == 0)
    assert fine(server)


def test_a_client_that_does_not_read_is_let_go(server: Running) -> None:
    """Its answer, some 10 MB and more than the system takes of it, is not held for longer than --timeout."""
    body = json.dumps({"inputs": ["word " * 600] * 31}).encode()
    answered = successes(server)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        deaf.sendall(b"POST /embed_all HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        until(lambda: successes(server) > answered)
        until(lambda: not is_connected(server.port, deaf.getsockname()[1]))
        with pytest.raises(ConnectionResetError):
            deaf.makefile("rb").read()
    assert fine(server)


def successes(server: Running) -> float:
    text = server.ask("/metrics").body.decode()
    return sum(float(each) for each in re.findall(r"^te_request_success{.*} (\S+)$", text, re.MULTILINE))


def is_connected(port: int, peer: int) -> bool:
    """Whether what is at one port of this machine still has a connection to the other."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    established = "01"
    return any((row[1][-4:], row[2][-4:], row[3]) == (f"{port:04X}", f"{peer:04X}", established) for row in rows)


@pytest.mark.parametrize("told", [True, False], ids=["Content-Length", "chunked"])
def test_a_huge_body_is_refused_and_not_kept(server: Running, told: bool) -> None:
    before = peak(server)
    block = b"x" * 1_000_000
    with server.connect() as rude:
        length = b"Content-Length: %d" % HUGE if told else b"Transfer-Encoding: chunked"
        rude.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % length)
        # The server gives the body up after its second, wherever it is by then.
        answer = b""
        try:
            for _ in range(HUGE // len(block)):
                rude.sendall(block if told else b"%x\r\n%b\r\n" % (len(block), block))
            if not told:
                rude.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        answer = rude.recv(1000)
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 408 "))
    assert b"HTTP/1.1 413 " in answer[:20] or not told
    assert peak(server) < before + MEGABYTES
    assert fine(server)


def test_a_client_that_asks_first_is_told_before_it_sends(server: Running) -> None:
    with server.connect() as polite:
        head = b"POST /embed HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        polite.sendall(head % HUGE)
        assert polite.recv(1000).startswith(b"HTTP/1.1 413 ")
    with server.connect() as polite:
        body = b'{"inputs":"a"}'
        polite.sendall(head % len(body))
        assert polite.recv(1000).startswith(b"HTTP/1.1 100 ")
        polite.sendall(body)
        assert polite.recv(1000).startswith(b"HTTP/1.1 200 ")


HOSTILE = {
    "broken": b'{"inputs": ["a", ',
    "no object": b"[1, 2, 3]",
    "no UTF-8": b'{"inputs": "\xff\xfe", "input": "\xc3("}',
    "a lone surrogate": b'{"inputs": "\\ud800", "input": "\\udfff"}',
    "nested lists": b'{"x":' + b"[" * 1_000_000,
    "nested objects": b'{"x":' * 200_000,
    "nested where texts are": b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a huge number": b'{"inputs": ' + b"9" * 100_000 + b"}",
    "null bytes": bytes(1000),
    "the same key often": b'{"inputs": 1,' + b'"inputs": 2,' * 100_000 + b'"inputs": 3}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_route_refuses_hostile_bodies(server: Running, name: str) -> None:
    document = server.ask("/openapi.json").json
    paths = [path for path, methods in document["paths"].items() if "post" in methods]
    assert len(paths) > 12
    before = peak(server)
    for path in paths:
        reply = server.ask(path.replace("{model}", POTION_BUNDLE.name), HOSTILE[name])
        assert reply.status in (400, 422), (path, reply.body)
        assert len(reply.body) < 2000
    assert peak(server) < before + MEGABYTES
    assert fine(server)


def test_memory_does_not_grow_with_refused_requests(server: Running) -> None:
    for _ in range(3):
        for body in HOSTILE.values():
            server.ask("/v1/embeddings", body)
    before = peak(server)
    for _ in range(20):
        for body in HOSTILE.values():
            server.ask("/v1/embeddings", body)
    assert peak(server) < before + MEGABYTES / 4


def test_large_bodies_that_wait_are_bounded(tmp_path: Path) -> None:
    with running(tmp_path, str(POTION_BUNDLE), "--max-waiting-mb", "1") as server:
        body = {"inputs": ["a" * 800_000]}
        with server.connect() as slow:
            slow.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 800000\r\n\r\n{")
            until(lambda: server.ask("/embed", body).status == 429)
            reply = server.ask("/v1/embeddings", {"input": body["inputs"]})
            assert (reply.status, reply.headers["retry-after"]) == (429, "1")
            assert fine(server)
        until(lambda: server.ask("/embed", body).status == 200)


def test_the_log_has_requests_and_no_texts(server: Running) -> None:
    for path, body in (
        ("/embed", {"inputs": "zebra"}),
        ("/embed", {"inputs": ["zebra", ""]}),
        ("/embed?inputs=zebra", {"inputs": "zebra", "prompt_name": "zebra"}),
        ("/v1/embeddings", {"input": "zebra", "model": "zebra"}),
        ("/v1/embeddings", b'{"input": "zebra'),
        ("/tokenize", {"inputs": "zebra"}),
    ):
        server.ask(path, body, Authorization="Bearer zebra")
    log = server.log.read_text()
    assert "POST /v1/embeddings" in log
    assert "zebra" not in log


class Clients:
    """Some that ask for large answers, over and over, until they are told to stop."""

    def __init__(self, server: Running, number: int) -> None:
        self.good, self.other, self.lost, self._stop = 0, [], 0, False
        self._threads = [threading.Thread(target=self._ask, args=(server,)) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    other: list[Reply]

    def _ask(self, server: Running) -> None:
        while not self._stop:
            try:
                reply = server.ask("/embed", LARGE)
            except (OSError, ValueError):
                self.lost += 1
                continue
            if reply.status == 200 and len(reply.json) == len(LARGE["inputs"]):
                self.good += 1
            else:
                self.other.append(reply)

    def stop(self) -> None:
        self._stop = True
        for thread in self._threads:
            thread.join(WAIT)


def test_a_worker_that_is_killed_at_work(tmp_path: Path) -> None:
    """Its own clients lose their answers, the others lose nothing, and a new worker comes."""
    with running(tmp_path, str(POTION_BUNDLE), "--workers", "2", "--threads", "1") as server:
        clients = Clients(server, 8)
        until(lambda: clients.good > 2)
        first = server.workers()[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: len(server.workers()) == 2 and first not in server.workers())
        good = clients.good
        until(lambda: clients.good > good + 8)
        clients.stop()
        assert clients.lost <= 8
        assert not clients.other  # the new one holds requests until it is ready
        until(lambda: queued(server) == 0)


def test_the_queue_s_size_forgets_killed_workers(tmp_path: Path) -> None:
    with running(tmp_path, str(POTION_BUNDLE), "--workers", "2", "--threads", "1") as server:
        clients = Clients(server, 8)
        until(lambda: queued(server) > 1)
        before = server.workers()
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        clients.stop()
        until(lambda: len(server.workers()) == 2 and not {*before} & {*server.workers()} and is_ready(server))
        assert fine(server)
        time.sleep(1.5)  # each worker tells its own size each second
        assert queued(server) == 0


def test_a_worker_that_dies_at_once_again_ends_the_server(tmp_path: Path) -> None:
    def dies_twice() -> None:
        with running(tmp_path, str(POTION_BUNDLE)) as server:
            (first,) = server.workers()
            os.kill(first, signal.SIGKILL)
            until(lambda: server.workers() not in ([first], []))
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            assert server.process.wait(WAIT) == 1

    with pytest.raises(AssertionError, match="crash loop"):  # how the end of ``running`` tells of another code than 0
        dies_twice()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_idle_connections(number: signal.Signals, tmp_path: Path) -> None:
    with running(tmp_path, str(POTION_BUNDLE)) as server:
        idle = server.connect()
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(WAIT) == 0
        assert time.monotonic() - began < 15  # and not the 20 seconds of an idle connection
        idle.close()


@pytest.fixture(scope="module")
def authority() -> Any:
    return pytest.importorskip("trustme").CA()


def test_https(authority: Any, potion: OnnxStaticModel, tmp_path: Path) -> None:
    made = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    options = ("--certificate", str(certificate), "--certificate-key", str(key), "--timeout", "1")
    with running(tmp_path, str(POTION_BUNDLE), *options, trusted=trusted) as server:
        silent = [server.connect() for _ in range(20)]
        for each in silent[:10]:
            each.sendall(b"\x16\x03\x01")  # the beginning of a handshake
        assert_vectors(server.ask("/embed", {"inputs": CORPUS[:5]}).json, potion.encode(CORPUS[:5]))
        with server.connect() as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert closed(plain)
        old = ssl.create_default_context()
        authority.configure_trust(old)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with server.connect() as raw, pytest.raises(ssl.SSLError):
            old.wrap_socket(raw, server_hostname="127.0.0.1")
        with server.connect() as raw, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(raw, server_hostname="127.0.0.1")
        assert all(closed(each) for each in silent)  # after granian's ten seconds
        assert fine(server)
        for each in silent:
            each.close()


SLOW = """
import sys, time
from pathlib import Path
from m2v_onnx.serve.models import Served

warm_up, folder = Served.warm_up, Path(sys.argv[0]).parent

def slow(served):
    number = 0
    while True:
        try:
            (folder / f"opens {number}").touch(exist_ok=False)
            break
        except FileExistsError:
            number += 1
    while not (folder / f"go on {number}").exists():
        time.sleep(0.01)
    warm_up(served)

Served.warm_up = slow
from m2v_onnx.commands.main import main
sys.exit(main())
"""
"""The command, with models that take as long to open as the test wants, in each worker."""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    return script


EMBEDDINGS = (("/embed", {"inputs": "a"}), ("/v1/embeddings", {"input": "a"}))


def test_while_models_are_opened(slow: Path, tmp_path: Path) -> None:
    """Health says so, and requests for vectors are held until they can be answered."""
    states: list[Reply] = []
    with ThreadPoolExecutor() as pool:
        held: list[Future[Reply]] = []

        def look(server: Running) -> None:
            until(lambda: listens(server))
            held.extend(pool.submit(server.ask, *each) for each in EMBEDDINGS)
            until(lambda: queued(server) == len(held))
            states.extend(server.ask(path) for path in ("/health", "/ping", "/v2/health/ready", "/v2/health/live"))
            assert not any(each.done() for each in held)
            (tmp_path / "go on 0").touch()

        with running(tmp_path, str(POTION_BUNDLE), command=(str(slow),), meanwhile=look) as server:
            assert [each.status for each in states] == [503, 503, 503, 200]
            assert states[0].json == {"status": "starting"}
            assert [each.result(WAIT).status for each in held] == [200, 200]
            assert fine(server)


def test_models_that_take_too_long_to_open(slow: Path, tmp_path: Path) -> None:
    """Requests are held no longer than --timeout, and no more of them than --max-requests."""
    late: list[Reply] = []
    more: list[Reply] = []

    def look(server: Running) -> None:
        until(lambda: listens(server))
        with ThreadPoolExecutor() as pool:
            held = [pool.submit(server.ask, *each) for each in EMBEDDINGS]
            until(lambda: queued(server) == len(held))
            more.append(server.ask(*EMBEDDINGS[0]))
            late.extend(each.result(WAIT) for each in held)
        assert queued(server) == 0
        (tmp_path / "go on 0").touch()

    options = ("--timeout", "1", "--max-requests", "2")
    with running(tmp_path, str(POTION_BUNDLE), *options, command=(str(slow),), meanwhile=look) as server:
        assert [each.status for each in more] == [429]
        assert [each.status for each in late] == [503, 503]
        assert [each.headers["retry-after"] for each in late] == ["1", "1"]
        assert fine(server)


def test_models_that_a_worker_cannot_open_end_the_server(tmp_path: Path) -> None:
    """Else it would hold requests in vain, and never be ready."""
    script = tmp_path / "broken.py"
    script.write_text(SLOW.replace("    number = 0", "    raise MemoryError('not enough')"))
    with (
        pytest.raises(AssertionError, match=r"not enough(.|\n)*crash loop"),
        running(tmp_path, str(POTION_BUNDLE), command=(str(script),)),
    ):
        pass


def test_a_damaged_graph_ends_the_server_before_it_listens(tmp_path: Path) -> None:
    pytest.importorskip("nanotoken")
    bundle = tmp_path / "bundle"
    shutil.copytree(POTION_BUNDLE, bundle)
    (bundle / BAG).write_bytes((bundle / BAG).read_bytes()[:-100])
    command = [sys.executable, "-m", "m2v_onnx", "serve", str(bundle), "--port", str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("m2v-onnx serve: ")
    assert str(bundle / BAG) in done.stderr
    assert "workers:" not in done.stderr


def test_a_worker_that_starts_later_than_another(slow: Path, tmp_path: Path) -> None:
    """One has said that the server is ready: no request is refused because it gets to the other."""
    number = 32
    with ThreadPoolExecutor(number) as pool:
        replies: list[Future[Reply]] = []

        def look(server: Running) -> None:
            until((tmp_path / "opens 1").exists)
            (tmp_path / "go on 0").touch()
            until(lambda: listens(server) and server.ask("/health").status == 200)
            replies.extend(pool.submit(server.ask, *EMBEDDINGS[0]) for _ in range(number))
            until(lambda: sum(each.done() for each in replies) + queued(server) == number)
            (tmp_path / "go on 1").touch()

        options = ("--workers", "2")
        with running(tmp_path, str(POTION_BUNDLE), *options, command=(str(slow),), meanwhile=look):
            assert {each.result(WAIT).status for each in replies} == {200}


def listens(server: Running) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return False
    return True


OPENED = """
import os, sys
from pathlib import Path
from m2v_onnx.vectors.session import SessionConfig
open_, log = SessionConfig.open, Path(__file__).with_name("opened.txt")

def told(config, path):
    with log.open("a") as file:
        print(os.getpid(), file=file)
    return open_(config, path)

SessionConfig.open = told
from m2v_onnx.commands.main import main
sys.exit(main())
"""
"""The command, which writes down who opens a graph."""


def test_workers_take_what_was_opened_before_them(tmp_path: Path) -> None:
    pytest.importorskip("nanotoken")
    script = tmp_path / "opened.py"
    script.write_text(OPENED)
    # numpy is imported before the command has its say.
    with (
        patch.dict(os.environ, OPENBLAS_NUM_THREADS="1"),
        running(tmp_path, str(POTION_BUNDLE), "--workers", "2", command=(str(script),)) as server,
    ):
        (first, _) = server.workers()
        os.kill(first, signal.SIGKILL)
        until(lambda: len(server.workers()) == 2 and first not in server.workers() and is_ready(server))
        for _ in range(32):
            assert server.ask("/embed", {"inputs": "a"}).status == 200
            assert server.ask("/embed", {"inputs": ["a"] * 40}).status == 200
        assert {*(tmp_path / "opened.txt").read_text().split()} == {str(server.process.pid)}


SPAWN = """
import multiprocessing, sys
if __name__ == "__main__":
    set_start_method = multiprocessing.set_start_method
    multiprocessing.set_start_method = lambda *_, **__: set_start_method("spawn", force=True)
    from m2v_onnx.commands.main import main
    sys.exit(main())
"""
"""The command as it is where there is no fork: on Windows, and by default on macOS."""


def test_workers_that_are_spawned(potion: OnnxStaticModel, tmp_path: Path) -> None:
    script = tmp_path / "spawned.py"
    script.write_text(SPAWN)
    keys = tmp_path / "keys.txt"
    keys.write_text("one-key\n")
    options = ("--workers", "2", "--api-key-file", str(keys))
    command = (str(script),)
    with running(tmp_path, str(POTION_BUNDLE), *options, command=command) as server:
        workers = [each for each in server.workers() if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]
        assert len(workers) == 2
        key = {"Authorization": "Bearer one-key"}
        assert_vectors(server.ask("/embed", {"inputs": CORPUS[:5]}, **key).json, potion.encode(CORPUS[:5]))
        assert server.ask("/embed", {"inputs": "a"}).status == 401
        for _ in range(10):
            server.ask("/embed", {"inputs": "a"}, **key)
        time.sleep(1.5)
        text = server.ask("/metrics", **key).body.decode()
        assert "te_embed_count 15.0" in text  # of both
