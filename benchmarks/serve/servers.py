"""Servers in processes of their own, on one core, and what they use."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "potion-base-2M"
BUNDLE = ROOT / "models" / "potion-base-2M-onnx"
RUST = Path(__file__).parent / "peers" / "rust" / "target" / "release" / "peer"
SENTENCE = "It is dangerous to go alone number {i}, take this with you on the way to the castle."


def bodies(texts: int, encoding: str, requests: int = 64) -> list[str]:
    made = [SENTENCE.format(i=i) for i in range(texts * requests)]
    return [
        json.dumps(
            {"input": made[i] if texts == 1 else made[i : i + texts], "model": BUNDLE.name, "encoding_format": encoding}
        )
        for i in range(0, len(made), texts)
    ]


def _commands(port: int) -> dict[str, list[str]]:
    python = sys.executable
    return {
        "m2v-onnx": [python, "-m", "m2v_onnx", "serve", str(BUNDLE), "--port", str(port), "--threads", "1"],
        "Rust": [str(RUST), str(MODEL), str(port)],
        "FastAPI": [
            python,
            "-m",
            "uvicorn",
            "benchmarks.serve.peers.fastapi_server:app",
            "--port",
            str(port),
            "--no-access-log",
        ],
    }


@contextlib.contextmanager
def running(name: str, *more: str) -> Iterator[tuple[int, int, float]]:
    """:return: the port, the process id, and seconds until it was ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*_commands(port)[name], *more]
    began = time.perf_counter()
    # As users have it: what Python has compiled once it reads the next time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PEER_MODEL"] = str(MODEL)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, preexec_fn=first_core)
    try:
        while not _ready(port):
            time.sleep(0.005)
        yield port, process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def wait_for_all(port: int) -> None:
    """Wait for all workers: each has a listener of its own, and the system chooses one for each connection."""
    while not all(_ready(port) for _ in range(CONNECTIONS_TO_ALL)):
        time.sleep(0.05)


CONNECTIONS_TO_ALL = 32
"""Of which it is sure enough that each of two workers gets one."""


def first_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def other_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def private(process: int) -> float:
    """Megabytes that a process shares with no other."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) / 1024


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def workers(process: int) -> list[int]:
    """The processes that answer."""
    return [each for each in children(process) if b"resource_tracker" not in Path(f"/proc/{each}/cmdline").read_bytes()]


def cpu_seconds(process: int) -> float:
    """That a server's processes have used, whatever else the machine did."""
    tasks = [task for each in (process, *children(process)) for task in Path(f"/proc/{each}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
