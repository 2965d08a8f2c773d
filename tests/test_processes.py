"""What a user's processes see: no telemetry, children that end, threads that outlive the program, streams that wait."""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from m2v_onnx import InvalidTextError, OnnxStaticModel, telemetry
from m2v_onnx.commands.main import main
from tests.conftest import COMMITTED_BUNDLE, CORPUS, POTION_BUNDLE, ROOT

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
PATIENCE = 120
"""Seconds after which a process is said to hang, and is killed with its children."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A user's: onnxruntime has no telemetry where CI is set, whatever we do, so that nothing would be seen."""
    unwanted = {*telemetry.CI_VARIABLES, telemetry.VARIABLE, "M2V_ONNX_CACHE", "HF_HOME", "XDG_CACHE_HOME"}
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | own | more


def run(command: list[str], folder: Path, **more: str) -> str:
    """Run it in a session of its own, which is killed as a whole when it hangs. :return: its standard output."""
    with (folder / "out").open("w+") as out, (folder / "error").open("w+") as error:
        process = subprocess.Popen(
            command,
            cwd=folder / "work",
            env=environment(folder, **more),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
            start_new_session=True,
        )
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    assert code == 0, (folder / "error").read_text()
    return (folder / "out").read_text().strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    environment(tmp_path)
    return tmp_path


def script(text: str, folder: Path, *arguments: object, **more: str) -> str:
    """A file, as processes that are spawned read it again."""
    (folder / "script.py").write_text(text)
    return run([sys.executable, str(folder / "script.py"), *map(str, arguments)], folder, **more)


# Telemetry


def test_one_module_imports_onnxruntime() -> None:
    """The others get it from there, with the environment variable set before."""
    found = []
    for path in sorted([*(ROOT / "m2v_onnx").rglob("*.py"), *(ROOT / "export").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.partition(".")[0] == "onnxruntime" for name in names):
                found.append(str(path.relative_to(ROOT)))
    assert found == [str(Path("m2v_onnx", "ort.py"))]


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("", "1"), ("0", "0"), ("1", "1"), ("true", "true")])
def test_the_variable_is_the_user_s(before: str | None, after: str, folder: Path) -> None:
    """It is set by the import alone, for programs that import onnxruntime themselves, and for their children."""
    text = (
        "import m2v_onnx, os, sys; assert 'onnxruntime' not in sys.modules; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    more = {} if before is None else {telemetry.VARIABLE: before}
    assert run([sys.executable, "-c", text], folder, **more) == after


@pytest.fixture
def imported_before(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a process that has imported an onnxruntime with telemetry, and now this package."""
    for name in (*telemetry.CI_VARIABLES, telemetry.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__="1.29.0"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(telemetry, "_too_late", False)
    return monkeypatch


def test_a_warning_where_it_is_too_late(imported_before: pytest.MonkeyPatch) -> None:
    with pytest.warns(UserWarning, match=r"imported before m2v_onnx.*Set ORT_DISABLE_TELEMETRY=1 in the environment"):
        telemetry.switch_off()
    assert os.environ[telemetry.VARIABLE] == "1"  # for children that are started anew
    assert telemetry.state() == "on: onnxruntime was imported before m2v_onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        telemetry.switch_off()  # once


@pytest.mark.parametrize(
    ("version", "platform", "variables", "state"),
    [
        ("1.29.0", "darwin", {"ORT_DISABLE_TELEMETRY": "1"}, "off (ORT_DISABLE_TELEMETRY=1)"),
        ("1.32.0", "linux", {"ORT_DISABLE_TELEMETRY": " Yes "}, "off (ORT_DISABLE_TELEMETRY= Yes )"),
        ("2.0.0.dev1", "linux", {"ORT_DISABLE_TELEMETRY": "0"}, "on (ORT_DISABLE_TELEMETRY=0)"),
        ("1.32.0", "linux", {"ORT_DISABLE_TELEMETRY": "0", "CI": "true"}, "off (CI is set)"),
        ("1.32.0", "linux", {"CI": "1"}, "off (ORT_DISABLE_TELEMETRY=1)"),
        ("1.28.2", "linux", {}, "none in onnxruntime 1.28.2"),
        ("1.32.0", "win32", {}, "off (ORT_DISABLE_TELEMETRY=1)"),
        ("1.32.0", "win32", {"ORT_DISABLE_TELEMETRY": "0"}, "on (ORT_DISABLE_TELEMETRY=0)"),
    ],
)
def test_no_warning_where_there_is_none_or_the_user_wants_it(
    version: str, platform: str, variables: dict[str, str], state: str, imported_before: pytest.MonkeyPatch
) -> None:
    imported_before.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__=version))
    imported_before.setattr(sys, "platform", platform)
    for name, value in variables.items():
        imported_before.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        telemetry.switch_off()
    assert telemetry.state() == state


def test_info_says_the_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(POTION_BUNDLE)]) in (0, None)
    assert f"ort telemetry:       {telemetry.state()}\n" in capsys.readouterr().out


ENCODE = """
import sys
from m2v_onnx import OnnxStaticModel
model = OnnxStaticModel.from_pretrained(sys.argv[1], threads=2)
model.encode("whale"), model.encode(["whale"] * 1000)
"""
COMMAND = [sys.executable, "-m", "m2v_onnx"]
COMMANDS = {
    "encode": [sys.executable, "-c", ENCODE, str(COMMITTED_BUNDLE)],
    "embed": [*COMMAND, "embed", "minishlab/potion-base-2M", "whale", "-o", "out.jsonl"],
    "info": [*COMMAND, "info", str(COMMITTED_BUNDLE)],
    "verify": [*COMMAND, "verify", "BUNDLE", "SOURCE"],
    "export": [*COMMAND, "export", "WITH A TEXT GRAPH", "bundle"],
    "first use": [sys.executable, "-c", ENCODE, "SOURCE"],
    "demo": [*COMMAND, "demo"],
}
"""What is run as a user does, in a home of its own."""

CACHES = {"first use": [Path(".cache", "m2v-onnx")]}
"""What of it may write where under the home folder."""


def tracer(trace: Path) -> list[str]:
    """strace, where it is installed and allowed."""
    command = ["strace", "-f", "-qq", "-s", "200", "-e", "trace=%network,%file", "-o", str(trace)]
    strace = shutil.which("strace")
    if strace is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        return []
    return command


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' onnxruntime writes no files, and its home is not HOME")
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_written_or_asked(
    name: str, folder: Path, small: Path, tiny: Path, bundles: dict[str, Path]
) -> None:
    """Seen from outside: in the home folder, and where there is strace, in what the kernel was asked for."""
    if name == "demo":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
    trace = folder / "trace"
    models = {"SOURCE": tiny, "WITH A TEXT GRAPH": small, "BUNDLE": bundles["tiny"]}
    command = [str(models.get(word, word)) for word in COMMANDS[name]]
    run([*tracer(trace), *command], folder)
    home = folder / "home"
    written = [path.relative_to(home) for path in home.rglob("*") if not path.is_dir()]
    allowed = CACHES.get(name, [])
    assert [path for path in written if not any(path.is_relative_to(cache) for cache in allowed)] == []
    assert bool(written) == bool(allowed), "the caches are elsewhere"
    if trace.exists():
        calls = trace.read_text(errors="replace").splitlines()
        assert any("execve(" in call for call in calls)
        assert [call for call in calls if asks_the_network(call, loopback=name == "demo")] == []
        assert [call for call in calls if writes_elsewhere(call, folder)] == []


def asks_the_network(call: str, *, loopback: bool) -> bool:
    """:param loopback: whether this machine itself may be asked: Milvus Lite is a server that its client talks to."""
    if not re.search(r"\b(connect|sendto|sendmsg|sendmmsg|socket)\(", call):
        return False
    if not loopback:
        return "AF_INET" in call
    return "sin_port=" in call.replace("sin6_port=", "sin_port=") and not re.search(
        r'"(127\.[\d.]+|::1|::ffff:127\.[\d.]+)"', call
    )


def writes_elsewhere(call: str, folder: Path) -> bool:
    """A file is made, or a folder, and it is neither in the test's folder nor a device."""
    made = re.search(r'\b(?:openat|open|creat|mkdir|mkdirat|rename\w*|link\w*)\((?:[^"]*)"([^"]*)"', call)
    if made is None or " = -1 " in call:
        return False
    if re.search(r"\bopen(at)?\(", call) and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", call):
        return False
    path = made[1]
    return path.startswith("/") and not path.startswith((str(folder.resolve()), str(folder), "/dev/", "/proc/"))


# Children

MODELS = """
import gc, os, signal, sys, threading, time
import numpy as np
from m2v_onnx import OnnxStaticModel
from m2v_onnx.ort import onnxruntime

bundle, session_threads, tokenizer = sys.argv[1], int(sys.argv[2]), sys.argv[3]

def load():
    options = None
    if session_threads:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = session_threads
    return OnnxStaticModel.from_pretrained(bundle, threads=2, session_options=options, tokenizer=tokenizer)

texts = [f"whale {i}" for i in range(600)]

def right(model):
    assert np.allclose(model.encode(texts), vectors, rtol=0, atol=1e-6)
    assert np.allclose(model.encode(texts[0]), vectors[0], rtol=0, atol=1e-6)

def wait(child):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code:
                print("the child ended with", code, file=sys.stderr, flush=True)
                os._exit(3)
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    print("the child hangs", file=sys.stderr, flush=True)
    os._exit(4)


def forked(check):
    child = os.fork()
    if not child:
        check()
        sys.exit(0)
    wait(child)
"""

FORKED = {
    "without encoding": "pass",
    "encodes": "right(models[0])",
    "encodes with all": "for model in models: right(model)",
    "deletes the models": "del models; gc.collect()",
    "encodes and deletes": "right(models[1]); del models; gc.collect()",
    "opens another": "right(load())",
    "in a thread": "thread = threading.Thread(target=right, args=(models[0],)); thread.start(); thread.join()",
    "goes on with a stream": "assert np.allclose(np.concatenate([first, *stream]), vectors, rtol=0, atol=1e-6)",
    "drops a stream": "stream.close()",
    "is a parent itself": """
right(models[0])
grandchild = os.fork()
if grandchild:
    wait(grandchild)
else:
    right(models[1])
""",
    "is a daemon": """
os.setsid()
if os.fork():
    os._exit(0)
right(models[0])
""",
    "is told to end": """
def end(*_):
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
right(models[0])
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
""",
}


@FORK
@pytest.mark.parametrize("session_threads", [0, 2])
def test_forked_children_end(session_threads: int, folder: Path) -> None:
    """They end as programs do, by the last line, with two models open, whose threads ran."""
    text = f"""{MODELS}
models = [load(), load()]
vectors = models[0].encode(texts)
right(models[1])
stream = models[0].encode_iter(texts, batch_size=50)
first = next(stream)
for what, code in {FORKED!r}.items():
    child = os.fork()
    if not child:
        break
    print(f"the child: {{what}}", file=sys.stderr, flush=True)
    wait(child)
    right(models[0])
else:
    code = "print('fine')"
exec(code)
"""
    assert "fine" in script(text, folder, COMMITTED_BUNDLE, session_threads, "auto").splitlines()


@FORK
@pytest.mark.parametrize("tokenizer", ["graph", "tokenizers", "nanotoken"])
def test_forks_while_another_thread_encodes(tokenizer: str, folder: Path) -> None:
    if tokenizer == "nanotoken":
        pytest.importorskip("nanotoken")
    text = f"""{MODELS}
model = load()
vectors = model.encode(texts)
stop = threading.Event()

def busy():
    while not stop.is_set():
        model.encode(texts), model.encode("whale")

parent = os.getpid()
thread = threading.Thread(target=busy)
thread.start()
for _ in range(5):
    child = os.fork()
    if not child:
        right(model)
        sys.exit(0)
    wait(child)
stop.set()
print("fine")
"""
    more = {"TOKENIZERS_PARALLELISM": "false"}  # its own advice to those who fork
    assert script(text, folder, COMMITTED_BUNDLE, 2, tokenizer, **more) == "fine"


@FORK
def test_a_tokenizer_goes_over_a_fork_that_no_thread_saw(folder: Path) -> None:
    """To make another takes as long as to start Python, and a server's workers are forked before anything runs."""
    pytest.importorskip("nanotoken")
    text = f"""{MODELS}
model = load()
vectors = model.encode(texts[:10])

def whose():
    assert np.allclose(model.encode(texts[:10]), vectors, rtol=0, atol=1e-6)
    return model._encoder._tokens._opened[0]

def same(): assert whose() == parent
def own(): assert whose() == os.getpid()
def quiet_child(): same(), forked(same)
def busy_child(): forked(own), own()

parent = whose()
forked(quiet_child)
go_on = threading.Event()
threading.Thread(target=go_on.wait).start()
forked(busy_child)
go_on.set()
print("fine")
"""
    assert script(text, folder, COMMITTED_BUNDLE, 0, "nanotoken") == "fine"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not tell a process' threads")
@pytest.mark.parametrize("threads", [0, 1])
def test_sessions_go_over_the_fork_of_a_process_at_rest(threads: int, folder: Path) -> None:
    """Only where it has no other thread. Threads that come later, and do not use its models, do not matter."""
    pytest.importorskip("nanotoken")
    text = f"""{MODELS}
from m2v_onnx.vectors.forks import FORKS
from m2v_onnx.vectors.session import SessionConfig

def closed(*_): raise AssertionError("a session was opened anew")

def takes_them():
    SessionConfig.open = closed
    for batch in (texts[:1], texts[:10]):
        assert np.allclose(model.encode(batch), wanted[len(batch)], rtol=0, atol=1e-6)

def opens_them():
    SessionConfig.open = closed
    try:
        model.encode(texts[:10])
    except AssertionError:
        return
    raise SystemExit("it took what it may not take")

model = load()
wanted = {{n: model.encode(texts[:n]) for n in (1, 10)}}
go_on = threading.Event()
later = threading.Thread(target=go_on.wait)
if {threads}:
    later.start()
    assert not FORKS.rest()
    forked(opens_them)
else:
    forked(opens_them)  # nobody has said that it is at rest
    assert FORKS.rest()
    forked(takes_them)
    later.start()
    forked(takes_them)
    forked(lambda: (takes_them(), forked(opens_them)))  # the child is not at rest
go_on.set()
later.join()
print("fine")
"""
    # numpy's own threads are threads too.
    assert script(text, folder, COMMITTED_BUNDLE, 0, "nanotoken", OPENBLAS_NUM_THREADS="1") == "fine"


@FORK
def test_a_graph_that_takes_long_to_open(folder: Path) -> None:
    """It is opened once for all threads. Other models do not wait for it, and neither does a child of a fork."""
    text = f"""{MODELS}
from m2v_onnx.vectors.session import SessionConfig

models = [load(), load(), load()]
vectors = models[2].encode(texts)
begun, go_on, opened, ended = threading.Event(), threading.Event(), [], []
open_file = SessionConfig.open

def slow(config, path):
    opened.append(path.name)
    if not begun.is_set():
        begun.set()
        assert go_on.wait(10)
    return open_file(config, path)

def first():
    right(models[0])
    ended.append("first")

SessionConfig.open = slow
thread = threading.Thread(target=first)
thread.start()
assert begun.wait(10)
right(models[1])
child = os.fork()
if not child:
    for model in models:
        right(model)
    sys.exit(0)
wait(child)
go_on.set()
thread.join()
assert ended == ["first"] and opened == ["bag.onnx"] * 2, (ended, opened)
print("fine")
"""
    assert script(text, folder, COMMITTED_BUNDLE, 0, "tokenizers", TOKENIZERS_PARALLELISM="false") == "fine"


@FORK
@pytest.mark.parametrize("session_threads", [0, 2])
def test_workers_of_a_server_that_loads_first(session_threads: int, folder: Path) -> None:
    """As under gunicorn's --preload: the parent encodes, its workers do, all are told to end."""
    text = f"""{MODELS}
model = load()
vectors = model.encode(texts)
workers = []
for _ in range(2):
    ready, told = os.pipe()
    worker = os.fork()
    if not worker:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        right(model)
        os.write(told, b"1")
        while True:
            time.sleep(1)
    assert os.read(ready, 1) == b"1"
    workers.append(worker)
for worker in workers:
    os.kill(worker, signal.SIGTERM)
for worker in workers:
    wait(worker)
print("fine")
"""
    assert script(text, folder, COMMITTED_BUNDLE, session_threads, "auto") == "fine"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("daemon", [False, True])
def test_multiprocessing(method: str, daemon: bool, folder: Path) -> None:
    """Processes that get the model and end by themselves."""
    text = f"""{MODELS}
import multiprocessing

def work(model, vectors):
    assert np.allclose(model.encode(texts), vectors, rtol=0, atol=1e-6)

if __name__ == "__main__":
    if sys.argv[4] not in multiprocessing.get_all_start_methods():
        sys.exit(print("none"))
    model = load()
    vectors = model.encode(texts)
    context = multiprocessing.get_context(sys.argv[4])
    processes = [context.Process(target=work, args=(model, vectors), daemon=sys.argv[5] == "True") for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0, process.exitcode
    print("fine")
"""
    # The fork server's socket lies in the temporary folder, and its path may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="m2v-") as short:
        if script(text, folder, COMMITTED_BUNDLE, 0, "auto", method, daemon, TMPDIR=short) == "none":
            pytest.skip(f"no {method} here")


# Threads that outlive the main program


@pytest.mark.parametrize("used", [True, False])
def test_a_thread_that_outlives_the_program(used: bool, folder: Path) -> None:
    """It encodes lists and streams of any length, whether the model had threads before or not, each text once."""
    text = """
import sys, threading, time
import numpy as np
from m2v_onnx import OnnxStaticModel

model = OnnxStaticModel.from_pretrained(sys.argv[1], threads=2)
texts = [f"whale {i}" for i in range(3000)]
wanted = np.concatenate([model.encode(texts[i : i + 200]) for i in range(0, 3000, 200)])
used = sys.argv[2] == "True"

def late():
    begun = model.encode_iter(texts, batch_size=100)
    first = [next(begun)] if used else []
    threading.main_thread().join()
    time.sleep(0.2)
    for found in (
        model.encode(texts),
        np.concatenate([*first, *begun]),
        np.concatenate(list(model.encode_iter(iter(texts), batch_size=700))),
    ):
        assert found.shape == wanted.shape
        print(np.allclose(found, wanted, rtol=0, atol=1e-6), flush=True)

if used:
    model.encode(texts)
threading.Thread(target=late).start()
"""
    assert script(text, folder, COMMITTED_BUNDLE, used).splitlines() == ["True"] * 3


def test_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch, potion: OnnxStaticModel) -> None:
    """At a limit of processes, say."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    texts = [f"whale {i}" for i in range(1000)]
    wanted = potion.encode(texts)
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    np.testing.assert_allclose(model.encode(texts), wanted, rtol=0, atol=1e-6)
    found = np.concatenate(list(model.encode_iter(iter(texts), batch_size=300)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


# Streams

SIZES = [1, 3, 300]
"""Texts a batch; threads share the larger ones."""


@pytest.fixture(params=[1, 4])
def model(request: pytest.FixtureRequest) -> OnnxStaticModel:
    return OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=request.param)


@pytest.mark.parametrize("size", SIZES)
def test_texts_that_depend_on_the_last_vectors(size: int, model: OnnxStaticModel, potion: OnnxStaticModel) -> None:
    received: list[np.ndarray] = []
    given: list[str] = []

    def dialogue() -> Iterator[str]:
        for i in range(5 * size + size // 2):
            assert len(received) == i // size
            given.append(f"whale {i} {received[-1][-1, 0]}" if received else f"whale {i}")
            yield given[-1]

    for vectors in model.encode_iter(dialogue(), batch_size=size):
        received.append(vectors)
    assert [len(vectors) for vectors in received] == [size] * 5 + [size // 2] * (size > 1)
    np.testing.assert_allclose(np.concatenate(received), potion.encode(given), rtol=0, atol=1e-6)


def test_a_program_that_waits_for_each_answer(folder: Path) -> None:
    text = """
import sys
from m2v_onnx import OnnxStaticModel
model = OnnxStaticModel.from_pretrained(sys.argv[1], threads=4)
for (vector,) in model.encode_iter((line.rstrip("\\n") for line in sys.stdin), batch_size=1):
    print(*vector, flush=True)
"""
    model = OnnxStaticModel.from_pretrained(COMMITTED_BUNDLE)
    command = [sys.executable, "-c", text, str(COMMITTED_BUNDLE)]
    with subprocess.Popen(
        command, env=environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        guard = threading.Timer(PATIENCE, process.kill)
        guard.daemon = True
        guard.start()
        for i in range(5):
            process.stdin.write(f"whale {i}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "it never answered"
            np.testing.assert_allclose(
                np.array(answer.split(), np.float32), model.encode(f"whale {i}"), rtol=0, atol=1e-6
            )
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
        guard.cancel()


@pytest.mark.parametrize("size", SIZES)
def test_an_error_in_a_stream_comes_after_the_batches_before_it(size: int, model: OnnxStaticModel) -> None:
    def broken() -> Iterator[str]:
        yield from (f"whale {i}" for i in range(2 * size + size // 2))
        raise OSError("the disk is gone")

    stream = model.encode_iter(broken(), batch_size=size)
    assert [len(next(stream)), len(next(stream))] == [size, size]
    with pytest.raises(OSError, match="the disk is gone"):
        next(stream)


@pytest.mark.parametrize("sequence", [False, True])
def test_an_error_names_the_text_s_place_in_the_stream(sequence: bool, model: OnnxStaticModel) -> None:
    texts = ["whale"] * 700 + ["\ud800"] + ["whale"] * 100
    with pytest.raises(InvalidTextError, match="700"):
        list(model.encode_iter(texts if sequence else iter(texts), batch_size=600))


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_that_is_no_longer_wanted(size: int, model: OnnxStaticModel) -> None:
    """Nothing more is read, and all was read in the caller's thread, as what iterates over a database demands."""
    threads = set()
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            threads.add(threading.current_thread())
            read += 1
            yield f"whale {read}"

    stream = model.encode_iter(endless(), batch_size=size)
    next(stream)
    del stream
    assert read == size
    assert threads == {threading.current_thread()}


def test_an_iterator_is_not_asked_after_its_end(model: OnnxStaticModel) -> None:
    """A terminal would wait for another end of input."""

    class Terminal:
        ends = 0
        texts = iter(CORPUS[:7])

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            try:
                return next(self.texts)
            except StopIteration:
                self.ends += 1
                raise

    terminal = Terminal()
    assert [len(vectors) for vectors in model.encode_iter(terminal, batch_size=5)] == [5, 2]
    assert terminal.ends == 1


def test_a_list_is_read_ahead(potion: OnnxStaticModel) -> None:
    """Batches of a list are worked on side by side."""
    model = OnnxStaticModel.from_pretrained(POTION_BUNDLE, threads=3)
    busy: set[threading.Thread] = set()
    together = threading.Barrier(3, timeout=PATIENCE)
    vectors = model._encoder.vectors

    def meet(*arguments: object) -> object:
        if threading.current_thread() not in busy:
            busy.add(threading.current_thread())
            together.wait()
        return vectors(*arguments)  # type: ignore[arg-type]

    model._encoder.vectors = meet  # type: ignore[method-assign, assignment]
    found = np.concatenate(list(model.encode_iter(CORPUS[:9] * 2, batch_size=3)))
    np.testing.assert_allclose(found, potion.encode(CORPUS[:9] * 2), rtol=0, atol=1e-6)
    assert len(busy) == 3
