"""Rows that cannot be embedded: `embed` stops at the first, or counts and lists them; and texts without tokens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m2v_onnx import InvalidTextError, OnnxStaticModel, embed_files
from m2v_onnx.commands.main import main
from m2v_onnx.corpus import lines
from tests.test_cli import BUNDLE, failed
from tests.test_embed_files import left_in
from tests.test_tables import assert_same

GOOD = 200


def broken_utf8() -> pa.Array:
    """Arrow does not look whether a file's bytes are UTF-8."""
    return pa.array([b"a whale", b"a \xff whale", b"b", None]).cast(pa.binary()).view(pa.string())


def a_parquet(folder: Path) -> tuple[Path, dict[int, str]]:
    path = folder / "a.parquet"
    pq.write_table(pa.table({"id": [0, 1, 2, 3], "text": broken_utf8()}), path, row_group_size=2)
    return path, {1: "is no UTF-8", 3: "has no 'text'"}


def a_jsonl(folder: Path) -> tuple[Path, dict[int, str]]:
    """Broken lines at the begin, the end, beside each other and alone; blank lines are no rows."""
    broken = {
        0: (b'{"id": 0, "text": 7}', "changed from string to number"),
        50: (b'{"id": 50, "te', "cannot be read"),
        51: (b'"a whale"', "changed from object to string"),
        90: (b'{"id": 90, "text": "a"} {"id": 91, "text": "b"}', "has 2 JSON objects"),
        120: (b'{"id": 120, "text": "\\ud800"}', "surrogate"),
        130: (b'{"id": 130, "text": "caf\xe9"}', "is no UTF-8"),
        150: (b'{"id": 150, "text": null}', "has no 'text'"),
        160: (b'{"id": 160}', "has no 'text'"),
        170: (b'{"id": 170, "text": "a", "late": 1}', "unexpected field"),
        199: (b'{"id": "x", "text": "a"}', "changed from number to string"),
    }
    rows = [broken[i][0] if i in broken else b'{"id": %d, "text": "whale %d"}' % (i, i) for i in range(GOOD)]
    rows[20:20] = [b"", b"  "]
    path = folder / "a.jsonl"
    path.write_bytes(b"\n".join(rows) + b"\n\n")
    return path, {i: reason for i, (_, reason) in broken.items()}


def a_csv(folder: Path) -> tuple[Path, dict[int, str]]:
    broken = {0: "0,a,b", 1: "1", 100: "100,a,b,c", 198: "198", 199: "199,a,b"}
    rows = [broken.get(i, f'{i},"whale\n{i}"') for i in range(GOOD)]
    path = folder / "a.csv"
    path.write_text("id,text\n" + "\n".join(rows) + "\n")
    return path, {i: f"has {len(row.split(','))} values, and the header 2" for i, row in broken.items()}


TABLES = [a_parquet, a_jsonl, a_csv]


def number(row: int, path: Path) -> int:
    """As a user counts: lines of JSON from 1, and two blank lines came before row 20."""
    return row if path.suffix != ".jsonl" else row + 1 + (2 if row >= 20 else 0)


@pytest.mark.parametrize("block", [100, 1 << 20])
@pytest.mark.parametrize("make", TABLES)
@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_bad_rows_are_counted_and_listed(
    make: Any,
    on_error: Any,
    block: int,
    tmp_path: Path,
    potion: OnnxStaticModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    path, bad = make(tmp_path)
    out = tmp_path / "out.parquet"
    done = embed_files(potion, path, out, on_error=on_error, batch_size=16)
    rows = 4 if path.suffix == ".parquet" else GOOD
    assert (done.rows, done.bad) == (rows, len(bad))
    listed = [json.loads(line) for line in (tmp_path / "out.parquet.errors.jsonl").read_text().splitlines()]
    unit = "line" if path.suffix == ".jsonl" else "row"
    assert [(each["file"], each[unit]) for each in listed] == [(str(path), number(i, path)) for i in sorted(bad)]
    for each, reason in zip(listed, [bad[i] for i in sorted(bad)], strict=True):
        assert reason in each["error"]
    table = pq.read_table(out)
    stay = [i for i in range(rows) if i not in bad]
    if on_error == "null":
        assert table.num_rows == rows
        assert [i for i, vector in enumerate(table["vector"].to_pylist()) if vector is None] == sorted(bad)
        table = table.take(stay)
    assert table["id"].to_pylist() == stay
    assert_same(table["vector"].to_pylist(), potion.encode(table["text"].to_pylist()))


@pytest.mark.parametrize("make", TABLES)
def test_the_first_bad_row_stops_by_default(make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, bad = make(tmp_path)
    before = left_in(tmp_path)
    error = failed(capsys, "embed", BUNDLE, "-i", str(path), "-o", str(tmp_path / "out.parquet"))
    unit = "line" if path.suffix == ".jsonl" else "row"
    assert f"{path}, {unit} {number(min(bad), path)} " in error
    assert bad[min(bad)] in error
    assert "give --on-error skip or null" in error
    assert left_in(tmp_path) == before


def test_index_names_them_too(tmp_path: Path) -> None:
    from m2v_onnx.corpus.batches import open_table

    path, _ = a_csv(tmp_path)
    with pytest.raises(ValueError, match=r"a.csv, row 0 has 3 values, and the header 2"):
        [*open_table(path).batches(100)]


def test_joined_texts_need_all_their_parts(tmp_path: Path, potion: OnnxStaticModel) -> None:
    pq.write_table(pa.table({"a": ["x", None, "y"], "b": ["x", "z", None]}), tmp_path / "in.parquet")
    done = embed_files(potion, tmp_path / "in.parquet", tmp_path / "out.npy", text=["a", "b"], on_error="skip")
    assert (done.rows, done.written, done.bad) == (3, 1, 2)
    assert_same(np.load(tmp_path / "out.npy"), potion.encode(["x x"]))


def test_a_list_of_errors_is_of_this_run(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """It is not there without bad rows, is not replaced without force, and does not outlive its output."""
    bad, good, out = tmp_path / "bad.parquet", tmp_path / "good.parquet", tmp_path / "out.parquet"
    listed = tmp_path / "out.parquet.errors.jsonl"
    pq.write_table(pa.table({"text": [None, "a"]}), bad)
    pq.write_table(pa.table({"text": ["b", "a"]}), good)
    listed.write_text("precious")
    with pytest.raises(FileExistsError, match=r"errors.jsonl exists"):
        embed_files(potion, bad, out, on_error="skip")
    embed_files(potion, bad, out, on_error="skip", force=True)
    assert json.loads(listed.read_text())["row"] == 0
    with pytest.raises(InvalidTextError):
        embed_files(potion, bad, out, force=True)
    assert json.loads(listed.read_text())["row"] == 0
    embed_files(potion, good, out, force=True)
    assert not listed.exists()


@pytest.mark.parametrize("dtype", ["float32", "int8", "binary"])
@pytest.mark.parametrize("empty", ["zero", "null", "skip"])
def test_texts_without_tokens(
    empty: str, dtype: Any, tmp_path: Path, potion: OnnxStaticModel, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["", "a whale", "\U0001f9ff\U0001fae8", "", "b"]
    given = pa.array(texts, mask=np.arange(5) == 3)
    pq.write_table(pa.table({"id": range(5), "text": given}), tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    options = ["--empty", empty, "--on-error", "skip", "--dtype", dtype]
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "in.parquet"), "-o", str(out), *options]) == 0
    written = 2 if empty == "skip" else 4
    assert capsys.readouterr().err == (
        f"m2v-onnx embed: 5 rows read, {written} written; bad rows: 1, listed in {out}.errors.jsonl;"
        " texts without tokens: 2\n"
    )
    table = pq.read_table(out)
    vectors = dict(zip(table["id"].to_pylist(), table["vector"].to_pylist(), strict=True))
    assert [*vectors] == ([1, 4] if empty == "skip" else [0, 1, 2, 4])
    for i, vector in vectors.items():
        wanted = potion.encode([texts[i]], dtype=dtype)[0]
        if i in (0, 2):
            assert vector is None if empty == "null" else not any(vector)
        else:
            assert_same(vector, wanted)


def test_nulls_in_json_lines(tmp_path: Path, potion: OnnxStaticModel) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n')
    embed_files(potion, path, out, on_error="null")
    first, second = map(json.loads, out.read_text().splitlines())
    assert_same(first["vector"], potion.encode("a"))
    assert second == {"text": None, "vector": None}
