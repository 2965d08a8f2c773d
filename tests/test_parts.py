"""A folder of parts: a run that ends at any moment is gone on with, and nothing is lost, there twice, or mixed up."""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from m2v_onnx import CorpusError, OnnxStaticModel, embed_files
from m2v_onnx.commands.main import main
from m2v_onnx.corpus import tables
from tests.test_cli import BUNDLE, MAIN, failed
from tests.test_embed_files import left_in
from tests.test_tables import assert_same

ROWS, PART = 30_000, 2_000


def corpus(path: Path, rows: int = ROWS, first: int = 0) -> Path:
    chance = random.Random(first)
    words = ["sea", "salt", "river", "pasta", "winter", "calf"]
    texts = [f"whale {i} " + " ".join(chance.choices(words, k=20)) for i in range(rows)]
    table = pa.table({"id": range(first, first + rows), "text": texts})
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=7000)
    else:
        content = "".join(json.dumps(row) + "\n" for row in table.to_pylist()).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(folder: Path) -> pa.Table:
    """As other programs do: they leave out what begins with "_"."""
    return pa.dataset.dataset(folder, format="parquet").to_table()


def parts(folder: Path) -> list[str]:
    return [name for name in left_in(folder) if name.startswith("part-")]


def assert_whole(folder: Path, sources: list[Path], model: OnnxStaticModel) -> None:
    table = read(folder)
    rows = sum(pq.read_metadata(each).num_rows for each in sources)
    assert table["id"].to_pylist() == [*range(rows)]
    wanted = model.encode(pa.concat_tables([pq.read_table(each, columns=["text"]) for each in sources])["text"])
    assert_same(table["vector"].combine_chunks().flatten().to_numpy().reshape(rows, -1), wanted)
    manifest = json.loads((folder / "_manifest.json").read_text())
    assert manifest["complete"]
    assert sum(part["rows"] for part in manifest["parts"]) == rows
    assert [name for name in left_in(folder) if name.startswith(".")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on(number: signal.Signals, tmp_path: Path, potion: OnnxStaticModel) -> None:
    """At random moments, until it is done; what is there already is not written again."""
    sources = [corpus(tmp_path / "0.parquet"), corpus(tmp_path / "1.parquet", 5_500, ROWS)]
    out, chance = tmp_path / "out", random.Random(int(number))
    command = [
        sys.executable,
        "-c",
        MAIN,
        "embed",
        BUNDLE,
        "-o",
        str(out),
        "--part-rows",
        str(PART),
        "--batch-size",
        "300",
    ]
    command += ["-i", str(sources[0]), "-i", str(sources[1])]
    kills = 0
    written: dict[str, int] = {}
    for _ in range(100):
        before = len(parts(out)) if out.exists() else 0
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            deadline = time.monotonic() + 120
            while process.poll() is None and (not out.exists() or len(parts(out)) <= before or kills >= 4):
                assert time.monotonic() < deadline
                time.sleep(0.001)
            time.sleep(chance.random() * 0.05)
            process.send_signal(number)
            process.communicate(timeout=120)
        finally:
            process.kill()
        times = {name: (out / name).stat().st_mtime_ns for name in parts(out)}
        known = {part["file"] for part in json.loads((out / "_manifest.json").read_text())["parts"]}
        for name, at in written.items():
            assert times[name] == at
        written = {name: at for name, at in times.items() if name in known}
        if process.returncode == 0:
            break
        assert process.returncode in (-number, 128 + number)
        kills += 1
    assert kills >= 2
    assert len(parts(out)) == 18
    assert_whole(out, sources, potion)
    embed_files(potion, sources, tmp_path / "whole", part_rows=PART, batch_size=300)
    assert read(tmp_path / "whole").equals(read(out))  # to the last bit
    before_last = left_in(out)
    assert main([*command[3:]]) == 0
    assert left_in(out) == before_last


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_says_what_is_done_and_the_next_run_from_where(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path / "a.parquet", 200_000)
    out = tmp_path / "out"
    arguments = ["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(out), "--part-rows", "1000"]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments, "--batch-size", "100"], stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not out.exists() or len(parts(out)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    count = len(json.loads((out / "_manifest.json").read_text())["parts"])
    assert 2 <= count < 200
    assert error == (
        f"m2v-onnx embed: interrupted: {out} has {count} whole parts with {count * 1000:,} rows of the input; the same"
        " command goes on after them\n"
    )
    assert main(arguments) == 0
    first, last = capfd.readouterr().err.splitlines()
    assert first == f"{out}: parts there: {count}, with {count * 1000:,} rows of the input; it goes on after them"
    assert last == (
        f"m2v-onnx embed: 200,000 rows read, 200,000 written; an earlier run had done {count * 1000:,} of the rows"
    )
    assert main(arguments) == 0
    assert capfd.readouterr().err == (f"m2v-onnx embed: {out} was finished before, with 200,000 rows: nothing to do\n")


@pytest.mark.parametrize("name", ["out.parquet", "out", "out.npy"])
def test_ctrl_c_before_anything_is_done(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus(tmp_path / "a.parquet", 100)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    for module in ("parts", "tables"):
        monkeypatch.setattr(f"m2v_onnx.corpus.{module}.write", interrupted)
    out = tmp_path / name
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(out)]) == 130
    said = f"{out} has no whole part yet" if name == "out" else f"nothing was written to {out}"
    assert capsys.readouterr().err == f"m2v-onnx embed: interrupted: {said}; the same command begins anew\n"
    if name != "out":
        assert left_in(tmp_path) == ["a.parquet"]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv", "a.arrow"])
def test_every_format_goes_on_from_the_middle(
    name: str, tmp_path: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody knows how many rows a file has, too, and over the end of one file; bad rows are listed once."""
    texts: list[str | None] = [f"whale {i}" for i in range(1000)]
    texts[10] = texts[700] = None
    table = pa.table({"id": range(1000), "text": texts})
    folder = tmp_path / "in"
    folder.mkdir()
    for i, piece in enumerate((table.slice(0, 450), table.slice(450))):
        path = folder / f"{i}{name[1:]}"
        if name == "a.arrow":
            with pa.ipc.new_stream(str(path), table.schema) as writer:
                writer.write_table(piece, max_chunksize=90)
        elif name == "a.csv":
            rows = [f"{row['id']},{row['text']}" if row["text"] else str(row["id"]) for row in piece.to_pylist()]
            path.write_text("id,text\n" + "\n".join(rows) + "\n")
        else:
            path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n\n" for row in piece.to_pylist()).encode()))
    out, options = tmp_path / "out", {"on_error": "skip", "batch_size": 64, "part_rows": 100}
    written = tables.write
    for limit in (1, 8, 9, 100):
        calls = iter(range(limit))

        def stop(*arguments: Any, calls: Any = calls) -> Any:
            if next(calls, None) is None:
                raise OSError(28, "No space left on device")
            return written(*arguments)

        monkeypatch.setattr("m2v_onnx.corpus.parts.write", stop)
        if limit < 100:
            with pytest.raises(OSError, match="No space left"):
                embed_files(potion, folder, out, **options)  # type: ignore[arg-type]
    done = embed_files(potion, folder, out, **options)  # type: ignore[arg-type]
    assert (done.rows, done.written, done.bad) == (1000, 998, 2)
    found = read(out)
    assert found["id"].to_pylist() == [i for i in range(1000) if i not in (10, 700)]
    assert_same(found["vector"].to_pylist(), potion.encode([text for text in texts if text]))
    assert [name for name in left_in(out) if name.startswith("_errors")] == [
        "_errors-part-00000.jsonl",
        "_errors-part-00007.jsonl",
    ]


@pytest.fixture
def begun(tmp_path: Path, potion: OnnxStaticModel) -> Path:
    """A folder whose second part is missing."""
    corpus(tmp_path / "a.parquet", 3000)
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out", part_rows=1000)
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    manifest.update(parts=manifest["parts"][:1], complete=False)
    (tmp_path / "out" / "_manifest.json").write_text(json.dumps(manifest))
    return tmp_path


CHANGES: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "an option": (lambda _: None, ["--dtype", "int8"], "out was begun with --dtype float32, got int8"),
    "the columns": (lambda _: None, ["--columns", "id"], "out was begun with --columns id,text, got id"),
    "the parts' size": (lambda _: None, ["--part-rows", "7"], "out was begun with --part-rows 1000, got 7"),
    "the input": (lambda f: corpus(f / "a.parquet", 2999), [], "a.parquet has changed since"),
    "its time": (lambda f: os.utime(f / "a.parquet", (1, 1)), [], "a.parquet has changed since"),
    "more inputs": (lambda f: corpus(f / "b.parquet", 9), ["-i", "b.parquet"], "was begun with other inputs"),
    "a part": (lambda f: (f / "out/part-00000.parquet").write_bytes(b"PAR1"), [], "part-00000.parquet: expected"),
    "a part is gone": (lambda f: (f / "out/part-00000.parquet").unlink(), [], "bytes, got None: copy it back"),
    "the manifest": (lambda f: (f / "out/_manifest.json").write_text("{"), [], "_manifest.json is damaged"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_changed_is_refused(
    what: str, begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, options, message = CHANGES[what]
    monkeypatch.chdir(begun)
    change(begun)
    before = {path.name: path.stat().st_mtime_ns for path in (begun / "out").iterdir()}
    size = [] if "--part-rows" in options else ["--part-rows", "1000"]
    assert message in failed(capsys, "embed", BUNDLE, "-i", "a.parquet", "-o", "out", *size, *options)
    assert {path.name: path.stat().st_mtime_ns for path in (begun / "out").iterdir()} == before


def test_another_model_is_refused(begun: Path, model_inside: OnnxStaticModel) -> None:
    with pytest.raises(CorpusError, match="was begun with another model"):
        embed_files(model_inside, begun / "a.parquet", begun / "out", part_rows=1000)


def test_force_begins_anew(begun: Path, potion: OnnxStaticModel) -> None:
    embed_files(potion, begun / "a.parquet", begun / "out", part_rows=2000, force=True)
    assert parts(begun / "out") == ["part-00000.parquet", "part-00001.parquet"]
    assert_whole(begun / "out", [begun / "a.parquet"], potion)


def test_an_input_that_changes_on_the_way(
    begun: Path, potion: OnnxStaticModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tables.write

    def change(*arguments: Any) -> Any:
        os.utime(begun / "a.parquet", (1, 1))
        return written(*arguments)

    monkeypatch.setattr("m2v_onnx.corpus.parts.write", change)
    with pytest.raises(CorpusError, match=r"a.parquet has changed since"):
        embed_files(potion, begun / "a.parquet", begun / "out", part_rows=1000)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_two_runs_at_once(tmp_path: Path, potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path / "a.parquet", 20_000)
    arguments = ["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out"), "--part-rows", "5000"]
    process = subprocess.Popen([sys.executable, "-c", MAIN, *arguments], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "out" / "_manifest.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        assert "another run writes into it: wait for its end" in failed(capsys, *arguments)
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=120)
        assert process.returncode == 0
    finally:
        process.kill()
    assert_whole(tmp_path / "out", [tmp_path / "a.parquet"], potion)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of files' sizes")
@pytest.mark.parametrize("group", [16 << 20, 20_000], ids=["at the end of a file", "in the middle"])
def test_a_file_that_cannot_grow(group: int, tmp_path: Path, potion: OnnxStaticModel) -> None:
    """As on a full disk. What is whole stays, and the run goes on when there is room."""
    corpus(tmp_path / "a.parquet", 3000)
    arguments = ["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out"), "--part-rows", "1000"]
    arguments += ["--batch-size", "50"]
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        f"from m2v_onnx.corpus import sinks; sinks.ROW_GROUP_BYTES = {group}; {MAIN}"
    )
    done = subprocess.run([sys.executable, "-c", limited, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_in(tmp_path / "out") == ["_lock", "_manifest.json"]
    assert main(arguments) == 0
    assert_whole(tmp_path / "out", [tmp_path / "a.parquet"], potion)


def test_folders_of_others_stay_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path / "a.parquet", 10)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"precious")
    for force in ([], ["--force"]):
        arguments = ["-i", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out"), *force]
        error = failed(capsys, "embed", BUNDLE, *arguments, code=2)
        assert "has files that are not of this program (part-00000.parquet)" in error
    assert (tmp_path / "out" / "part-00000.parquet").read_bytes() == b"precious"
    shutil.rmtree(tmp_path / "out")
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "a.parquet"), "-o", f"{tmp_path / 'out'}{os.sep}"]) == 0
    assert left_in(tmp_path / "out") == ["_lock", "_manifest.json", "part-00000.parquet"]


def test_tables_without_rows(tmp_path: Path, potion: OnnxStaticModel) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    done = embed_files(potion, tmp_path / "a.parquet", tmp_path / "out")
    assert (done.rows, done.written) == (0, 0)
    assert read(tmp_path / "out").schema.names == ["text", "vector"]
    embed_files(potion, tmp_path / "a.parquet", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (0, 64)
