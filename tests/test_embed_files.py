"""What `m2v-onnx embed` reads and writes: no file is lost, no line is skipped or taken for another."""

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.commands.main import main
from tests.conftest import CORPUS
from tests.test_cli import BUNDLE, MAIN, Stdin, failed, rows, stdin

__all__ = ["stdin"]

TEXTS = ["a whale", "", "zwölf Wale"]
TXT = "".join(f"{text}\n" for text in TEXTS).encode()
JSONL = '"a whale"\n{"text": ""}\n{"id": 7, "text": "zwölf Wale"}\n'.encode()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def zstd(content: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as library
    else:
        from backports import zstd as library
    # Without a checksum, which the program zstd writes by default, a changed byte may go unseen.
    return bytes(library.compress(content, options={library.CompressionParameter.checksum_flag: 1}))


@pytest.mark.parametrize(("suffix", "content"), [(".txt", TXT), (".jsonl", JSONL), (".ndjson", JSONL)])
@pytest.mark.parametrize(
    ("compression", "compress"), [("", bytes), (".gz", gzip.compress), (".zst", zstd)], ids=["plain", "gz", "zst"]
)
def test_formats_and_compressions(
    suffix: str,
    content: bytes,
    compression: str,
    compress: Callable[[bytes], bytes],
    tmp_path: Path,
    potion: OnnxStaticModel,
) -> None:
    """In two parts, as programs that append write them."""
    path, out = tmp_path / f"texts{suffix}{compression}", tmp_path / "out.npy"
    half = content.index(b"\n") + 1
    path.write_bytes(compress(content[:half]) + compress(content[half:]))
    assert main(["embed", BUNDLE, "-i", str(path), "-o", str(out)]) == 0
    np.testing.assert_array_equal(np.load(out), potion.encode(TEXTS))


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_damaged_compressed_files(
    suffix: str, compress: Callable[[bytes], bytes], damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"texts.txt{suffix}"
    content = bytearray(compress(os.urandom(9000).hex().encode()))
    if damage == "changed":
        content[len(content) // 2] ^= 255
    path.write_bytes(content[:-9] if damage == "truncated" else content)
    error = failed(capsys, "embed", BUNDLE, "-i", str(path), "-o", str(tmp_path / "out.npy"))
    assert f"{path}: its compressed data is truncated or damaged" in error
    assert left_in(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_empty_compressed_files(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a download that failed leaves is not what a compressed file of no texts is."""
    path = tmp_path / f"texts.txt{suffix}"
    path.write_bytes(b"")
    assert "truncated or damaged (it is empty)" in failed(capsys, "embed", BUNDLE, "-i", str(path))
    path.write_bytes(gzip.compress(b"") if suffix == ".gz" else zstd(b""))
    assert main(["embed", BUNDLE, "-i", str(path)]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_not_compressed_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt.gz").write_bytes(TXT)
    assert "Not a gzipped file" in failed(capsys, "embed", BUNDLE, "-i", str(tmp_path / "a.txt.gz"))


def test_zstd_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("Python 3.14 has zstd itself")
    (tmp_path / "a.txt.zst").write_bytes(zstd(TXT))
    monkeypatch.setitem(sys.modules, "backports", None)
    assert "pip install 'm2v-onnx[zstd]'" in failed(capsys, "embed", BUNDLE, "-i", str(tmp_path / "a.txt.zst"))


@pytest.mark.parametrize("format_", ["txt", "jsonl"])
def test_a_byte_order_mark_is_no_text(format_: str, tmp_path: Path, potion: OnnxStaticModel) -> None:
    path, out = tmp_path / f"texts.{format_}", tmp_path / "out.npy"
    path.write_bytes(b"\xef\xbb\xbf" + (TXT if format_ == "txt" else JSONL))
    assert main(["embed", BUNDLE, "-i", str(path), "-o", str(out)]) == 0
    np.testing.assert_array_equal(np.load(out), potion.encode(TEXTS))


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_a_byte_order_mark_alone_is_an_empty_file(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"texts{suffix}"
    path.write_bytes(b"\xef\xbb\xbf")
    assert main(["embed", BUNDLE, "-i", str(path)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".jsonl.gz"])
def test_marks_of_other_encodings_are_named(
    encoding: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"texts{suffix}"
    content = '\ufeff"a"\n'.encode(encoding)
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    name = encoding[:6].upper()
    error = failed(capsys, "embed", BUNDLE, "-i", str(path))
    assert f"expected UTF-8, got {name}: convert it, by `iconv -f {name} -t UTF-8`" in error


@pytest.mark.parametrize("given", [[], ["-i", "-"], ["--input=-", "-o", "-"]])
def test_standard_input(
    given: list[str], stdin: Stdin, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel
) -> None:
    stdin(TXT)
    assert main(["embed", BUNDLE, *given]) == 0
    np.testing.assert_array_equal(rows(capsys.readouterr().out), potion.encode(TEXTS))
    stdin(JSONL)
    assert main(["embed", BUNDLE, *given, "--format", "jsonl"]) == 0
    np.testing.assert_array_equal(rows(capsys.readouterr().out), potion.encode(TEXTS))


@pytest.mark.parametrize(
    "content",
    [b'{"text": "a"}\n', b'\n  {"text": "a"}\n', b'"a"\n', b'["a", "b"]\n', b'[{"text": "a"}]\n', b"[[1], [2]]\n"],
)
def test_json_on_a_stream_must_be_said(
    content: bytes, stdin: Stdin, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel
) -> None:
    stdin(content)
    error = failed(capsys, "embed", BUNDLE)
    assert "standard input: its first line is JSON" in error
    assert "--format jsonl" in error
    stdin(content)
    assert main(["embed", BUNDLE, "--format", "txt"]) == 0
    wanted = potion.encode(content.decode().removesuffix("\n").split("\n"))
    np.testing.assert_array_equal(rows(capsys.readouterr().out), wanted)


@pytest.mark.parametrize(
    "content",
    [b"{braces} are no JSON\n", b'"quoted," he said\n', b"[1] a footnote\n", b"42\n", b"[1]\n", b"[]\n", b"null\n"],
)
def test_what_only_looks_like_json(content: bytes, stdin: Stdin, capsys: pytest.CaptureFixture[str]) -> None:
    stdin(content)
    assert main(["embed", BUNDLE]) == 0
    assert len(rows(capsys.readouterr().out)) == 1


def test_compressed_standard_input_is_told(stdin: Stdin, capsys: pytest.CaptureFixture[str]) -> None:
    stdin(gzip.compress(TXT))
    assert "expected UTF-8, got gzip data: decompress it first" in failed(capsys, "embed", BUNDLE)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    "command",
    [
        "{m2v} -i /dev/stdin < texts.txt",
        "cat texts.txt | {m2v} -i /dev/stdin -o /dev/stdout",
        "{m2v} -i <(cat texts.txt)",
        "{m2v} -i <(cat texts.jsonl) --format jsonl > >(cat) ; wait",
        "mkfifo pipe; (cat texts.txt > pipe &) ; {m2v} -i pipe",
        "{m2v} -i texts.txt -o /dev/null; {m2v} -i texts.txt",
    ],
)
def test_streams_that_have_names(command: str, tmp_path: Path, potion: OnnxStaticModel) -> None:
    (tmp_path / "texts.txt").write_bytes(TXT)
    (tmp_path / "texts.jsonl").write_bytes(JSONL)
    m2v = f"'{sys.executable}' -c '{MAIN}' embed '{BUNDLE}'"
    done = subprocess.run(
        ["bash", "-c", command.format(m2v=m2v)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    np.testing.assert_array_equal(rows(done.stdout), potion.encode(TEXTS))


def test_json_objects_with_more_than_a_text(
    stdin: Stdin, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel
) -> None:
    """What stands beside the text does not matter: Python writes NaN, and other objects have keys of their own."""
    stdin(b'{"text": "a", "score": NaN, "x": 1, "x": 2}\n{"more": {"text": "b"}, "text": "\\"text\\"", "y": [{}]}\n')
    assert main(["embed", BUNDLE, "--format", "jsonl"]) == 0
    np.testing.assert_array_equal(rows(capsys.readouterr().out), potion.encode(["a", '"text"']))


def test_errors_list_some_keys(stdin: Stdin, capsys: pytest.CaptureFixture[str]) -> None:
    stdin(json.dumps({f"key{i:04}": i for i in range(1000)}).encode())
    error = failed(capsys, "embed", BUNDLE, "--format", "jsonl")
    assert "'key0009'] and more: give the text's key by --field" in error
    assert "key0010" not in error


def test_blank_lines_are_skipped_on_request_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n" + JSONL + b"  \n\n")
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "a.jsonl"), "--skip-blank"]) == 0
    out, error = capsys.readouterr()
    np.testing.assert_array_equal(rows(out), potion.encode(TEXTS))
    assert error == "m2v-onnx embed: blank lines skipped: 3\n"


@pytest.mark.parametrize("given", [["-i", "a.txt"], [], ["-i", "a.jsonl", "--format", "txt"]])
def test_blank_lines_of_plain_texts_cannot_be_skipped(
    given: list[str], stdin: Stdin, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(TXT)
    assert "--skip-blank is for JSON lines" in failed(capsys, "embed", BUNDLE, *given, "--skip-blank", code=2)


@pytest.mark.parametrize("link", ["same", "symlink", "hard link", "relative"])
def test_the_input_is_never_the_output(
    link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = target = tmp_path / "same.jsonl"
    source.write_bytes(JSONL)
    if link != "same":
        target = tmp_path / "other.jsonl"
    if link == "symlink":
        target.symlink_to(source)
    elif link == "hard link":
        target.hardlink_to(source)
    elif link == "relative":
        monkeypatch.chdir(tmp_path)
        target = Path("../") / tmp_path.name / "same.jsonl"
    for force in ([], ["--force"]):
        error = failed(capsys, "embed", BUNDLE, "-i", str(source), "-o", str(target), *force, code=2)
        assert "is the input too: give another output" in error
        assert source.read_bytes() == JSONL


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_standard_input_is_not_the_output_either(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(JSONL)
    command = f"'{sys.executable}' -c '{MAIN}' embed '{BUNDLE}' --format jsonl -o a.jsonl --force < a.jsonl"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "a.jsonl is the input too" in done.stderr
    assert (tmp_path / "a.jsonl").read_bytes() == JSONL


def test_a_file_is_replaced_only_with_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.npy"
    out.write_bytes(b"precious")
    assert f"{out} exists: give another output, or --force" in failed(
        capsys, "embed", BUNDLE, "a", "-o", str(out), code=2
    )
    assert out.read_bytes() == b"precious"
    assert main(["embed", BUNDLE, "a", "-o", str(out), "--force"]) == 0
    assert np.load(out).shape == (1, 64)


def test_refusals_come_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model may have to be downloaded first."""
    (tmp_path / "a.txt").write_bytes(TXT)
    (tmp_path / "empty.txt.gz").touch()
    (tmp_path / "out.npy").touch()
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.npy").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(OnnxStaticModel, "from_pretrained", None)
    for arguments, code, message in (
        (["-i", "a.txt", "-o", "out.npy"], 2, "out.npy exists"),
        (["-i", "a.txt", "-o", "folder.npy", "--force"], 1, "folder.npy is a folder: give a file"),
        (["-i", "a.txt", "-o", "no/out.npy"], 1, "there is no folder no: make it first"),
        (["-i", "nothing.txt"], 1, "there is no file nothing.txt"),
        (["-i", "~nothing.txt"], 1, "there is no file ~nothing.txt"),
        (["-i", "folder.txt"], 1, "folder.txt is a folder: give a file of texts"),
        (["-i", "folder"], 1, "folder is a folder: give a file of texts"),
        (["-i", "empty.txt.gz"], 1, "truncated or damaged"),
    ):
        assert message in failed(capsys, "embed", BUNDLE, *arguments, code=code)


def test_an_error_on_the_way_keeps_the_file_that_was_to_be_replaced(
    tmp_path: Path, stdin: Stdin, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"precious")
    stdin(b'"fine"\n' * 5000 + b"7\n")
    arguments = ["--format", "jsonl", "-o", str(out), "--force", "--batch-size", "10"]
    assert "line 5001: expected a text, got int" in failed(capsys, "embed", BUNDLE, *arguments)
    assert out.read_bytes() == b"precious"
    assert left_in(tmp_path) == ["out.jsonl"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs rights to make links")
def test_a_link_as_output_stays_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, place = tmp_path / "out.npy", tmp_path / "elsewhere" / "vectors"
    link.symlink_to(place)
    assert main(["embed", BUNDLE, "a", "-o", str(link)]) == 0
    assert "exists: give another output" in failed(capsys, "embed", BUNDLE, "a", "b", "-o", str(link), code=2)
    assert main(["embed", BUNDLE, "a", "b", "-o", str(link), "--force"]) == 0
    assert link.readlink() == place
    assert np.load(place).shape == (2, 64)
    assert left_in(place.parent) == ["vectors"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    out.touch()
    out.chmod(0o600)
    assert main(["embed", BUNDLE, "a", "-o", str(out), "--force"]) == 0
    assert out.stat().st_mode & 0o777 == 0o600


def test_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as a file system allows, and with a tilde, which a shell has replaced already where it stands for one."""
    monkeypatch.chdir(tmp_path)
    Path("~texts.txt").write_bytes(TXT)
    for name in ("~out.npy", f"{'n' * 251}.npy" if sys.platform != "win32" else "n.npy"):
        assert main(["embed", BUNDLE, "-i", "~texts.txt", "-o", name]) == 0
        assert np.load(name).shape == (3, 64)


def test_a_file_that_comes_meanwhile_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, original = tmp_path / "out.npy", OnnxStaticModel.encode_iter

    def slow(self: OnnxStaticModel, *arguments: object, **options: object) -> object:
        out.write_bytes(b"precious")
        return original(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(OnnxStaticModel, "encode_iter", slow)
    assert "exists: give another output" in failed(capsys, "embed", BUNDLE, "a", "-o", str(out), code=2)
    assert out.read_bytes() == b"precious"
    assert left_in(tmp_path) == ["out.npy"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "embed", BUNDLE, "--batch-size", "1", "-o", str(out)],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        while not left_in(tmp_path):
            process.stdin.write(b"a whale\n")
            process.stdin.flush()
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert left_in(tmp_path) == []
        error = process.stderr.read()
        assert b"Traceback" not in error
        if number == signal.SIGINT:
            said = f"m2v-onnx embed: interrupted: nothing was written to {out}; the same command begins anew\n"
            assert error == said.encode()
    finally:
        watchdog.cancel()
        process.kill()
        process.stdin.close()
        process.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_signal_leaves_no_half_bundle(tmp_path: Path, sources: dict[str, Path]) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", MAIN, "export", str(sources["potion"]), str(out)])
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        while not left_in(tmp_path):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        assert left_in(tmp_path) == []
    finally:
        watchdog.cancel()
        process.kill()


def test_handlers_are_the_caller_s_again() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    assert main(["info", BUNDLE]) == 0
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_many_texts_of_a_stream(stdin: Stdin, capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(CORPUS * 20)]
    stdin(io.BytesIO("\n".join(texts).encode()).getvalue())
    assert main(["embed", BUNDLE, "--batch-size", "64"]) == 0
    np.testing.assert_allclose(rows(capsys.readouterr().out), potion.encode(texts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["out.npy", "out.jsonl"])
def test_the_order_of_bits(name: str, tmp_path: Path, potion: OnnxStaticModel) -> None:
    (tmp_path / "in.txt").write_bytes(TXT)
    bits = ["-o", str(tmp_path / name), "--dtype", "binary", "--bitorder", "little"]
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "in.txt"), *bits]) == 0
    expected = np.packbits(potion.encode(TEXTS) > 0, axis=1, bitorder="little")
    found = np.load(tmp_path / name) if name.endswith("npy") else rows((tmp_path / name).read_text())
    np.testing.assert_array_equal(found, expected)


def test_an_order_of_what_are_no_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.txt").write_bytes(TXT)
    arguments = ["embed", BUNDLE, "-i", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.npy")]
    assert main([*arguments, "--bitorder", "little"]) != 0
    assert "bitorder 'little' is for dtype binary, got dtype 'float32'" in capsys.readouterr().err
    assert left_in(tmp_path) == ["in.txt"]
