"""`m2v-onnx embed` between other programs: open files by their names, closed streams, readers that wait or do not."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from m2v_onnx.commands.main import main
from m2v_onnx.corpus.streams import descriptor, is_stream
from tests.test_cli import BUNDLE, MAIN, failed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX streams")

EMBED = [sys.executable, "-c", MAIN, "embed", BUNDLE]
M2V = f"'{sys.executable}' -c '{MAIN}' embed '{BUNDLE}'"
PATIENCE = 60
"""Seconds after which a process is said to hang."""


def shell(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", command.format(m2v=M2V)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
    )


@contextmanager
def watched(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("/dev/stdin", 0),
        ("/dev/stdout", 1),
        ("/dev/stderr", 2),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/7", 7),
        ("/dev/fd/x", None),
        ("/dev/fd/٣", None),
        ("/dev/fd/99999999999", None),
        ("/dev/null", None),
        ("stdin", None),
    ],
)
def test_names_of_open_files(name: str, number: int | None) -> None:
    assert descriptor(Path(name)) == number


def test_what_a_stream_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert [is_stream(tmp_path / name) for name in ("file", "pipe", "nothing", ".")] == [False, True, False, False]
    assert is_stream(Path("/dev/null"))


@pytest.mark.parametrize(
    "command",
    [
        "{m2v} a -o /dev/stdout >> out",
        "{m2v} a -o /dev/fd/7 7>> out",
        "{m2v} a -o - >> out",
        "{m2v} a >> out",
        "(head -c 0; {m2v} a -o /dev/stdout) >> out",
    ],
)
def test_a_file_that_a_shell_appends_to_is_not_truncated(command: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious\n")
    done = shell(command, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (tmp_path / "out").read_text().splitlines()
    assert first == "precious"
    assert len(json.loads(second)) == 64


@pytest.mark.parametrize(
    "command",
    [
        "{m2v} -i same.jsonl >> same.jsonl",
        "{m2v} -i same.jsonl -o /dev/stdout >> same.jsonl",
        "{m2v} -i same.jsonl -o /dev/fd/7 7>> same.jsonl",
        "{m2v} -i /dev/stdin --format jsonl -o same.jsonl --force < same.jsonl",
        "{m2v} -i - --format jsonl -o ./same.jsonl --force < same.jsonl",
        "{m2v} -i /dev/fd/7 --format jsonl >> same.jsonl 7< same.jsonl",
    ],
)
def test_one_file_as_both_ends_is_seen_through_open_files(command: str, tmp_path: Path) -> None:
    (tmp_path / "same.jsonl").write_text('"a whale"\n')
    done = shell(command, tmp_path)
    assert done.returncode == 2
    assert "is the input too: give another output" in done.stderr
    assert (tmp_path / "same.jsonl").read_text() == '"a whale"\n'


def test_npy_needs_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "out.npy")
    error = failed(capsys, "embed", BUNDLE, "a", "-o", str(tmp_path / "out.npy"), code=2)
    assert "is a stream, and a .npy file's head is written last: give .jsonl" in error


def test_devices_are_written_to() -> None:
    assert main(["embed", BUNDLE, "a", "-o", "/dev/null"]) == 0
    assert is_stream(Path("/dev/null"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
@pytest.mark.parametrize("command", ["{m2v} a > /dev/full", "{m2v} a -o /dev/full"])
def test_a_full_disk(command: str, tmp_path: Path) -> None:
    done = shell(command, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("{m2v} a >&-", 2, "standard output is closed: give --output FILE"),
        ("{m2v} <&-", 2, "standard input is closed: give texts as arguments, or --input FILE"),
        ("{m2v} a -o out.npy >&- <&-", 0, ""),
        ("{m2v} a -i b 2>&-", 2, ""),
        ("'{{python}}' -m m2v_onnx info '{{bundle}}' >&-", 0, ""),
    ],
)
def test_closed_streams(command: str, code: int, message: str, tmp_path: Path) -> None:
    command = command.replace("{{python}}", sys.executable).replace("{{bundle}}", BUNDLE)
    done = shell(command, tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == bool(message)


@pytest.mark.parametrize("way", ["standard output", "open file"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_what_waits_for_its_reader(way: str, number: signal.Signals, tmp_path: Path) -> None:
    """The pipe is full and nobody reads it: nothing may be written any more, not even what is left at the end."""
    (tmp_path / "texts.txt").write_text("whale\n" * 20_000)
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [*EMBED, "-i", str(tmp_path / "texts.txt"), "-o", "-" if way == "standard output" else f"/dev/fd/{writer}"],
        stdout=writer,
        pass_fds=[writer],
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with watched(process):
        while select.select([], [writer], [], 0)[1]:  # it has room
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait() == 128 + number
        # Who pressed Ctrl-C is told.
        assert process.stderr.read() == (b"m2v-onnx embed: interrupted\n" if number == signal.SIGINT else b"")
    process.stderr.close()
    os.close(reader)
    os.close(writer)


def test_a_reader_of_a_pipe_that_leaves(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "texts.txt").write_text("whale\n" * 20_000)
    done = shell("head -c 10 pipe > /dev/null & {m2v} -i texts.txt -o pipe", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
@pytest.mark.parametrize("cores", ["one core", "all cores"])
def test_a_program_that_waits_for_each_answer(output: str, cores: str) -> None:
    """Lines are read, encoded and written as they come, whatever the number of threads."""
    if cores == "one core" and not hasattr(os, "sched_setaffinity"):
        pytest.skip("the number of threads cannot be chosen here")
    process = subprocess.Popen(
        [*EMBED, "--batch-size", "1", "-o", output],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=None if cores == "all cores" else lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with watched(process):
        for text in (b"a whale\n", b"\n", b"the sea\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert len(json.loads(process.stdout.readline())) == 64
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0
    process.stdout.close()
