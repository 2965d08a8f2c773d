"""The command: what it prints, what it writes, how it fails."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from m2v_onnx import OnnxStaticModel
from m2v_onnx.commands.main import main
from m2v_onnx.models.format import BAG, TABLE
from tests.conftest import CORPUS, POTION, POTION_BUNDLE
from tests.test_dtypes import assert_near

COMMANDS = ("export", "embed", "verify", "index", "info", "search", "serve", "push", "demo")
BUNDLE = str(POTION_BUNDLE)
MAIN = "import sys; from m2v_onnx.commands.main import main; sys.exit(main())"

Stdin = Callable[[bytes], None]


class Bytes:
    """Standard input that is no terminal."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Stdin:
    return lambda content: monkeypatch.setattr(sys, "stdin", Bytes(content))


def failed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    """Run a command that fails: one line on standard error, no traceback, nothing on standard output."""
    assert main(arguments) == code
    out, error = capsys.readouterr()
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith(f"m2v-onnx {arguments[0]}: ")
    return error


def rows(text: str) -> npt.NDArray[np.float32]:
    return np.array([json.loads(line) for line in text.splitlines()], np.float32)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["--help"])
    assert info.value.code == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {command} ", out, re.MULTILINE) for command in COMMANDS)
    listed = re.findall(r"^    (\w+) ", out, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main([command, "--help"])
    assert info.value.code == 0
    _, _, examples = capsys.readouterr().out.partition("examples:\n")
    assert re.search(rf"^  .*m2v-onnx {command}\b", examples, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option_in_use(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One of --normalize and --no-normalize will do."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options, _, examples = capsys.readouterr().out.partition("examples:\n")
    for line in re.findall(r"^  (-.*)", options, re.MULTILINE):
        names = re.findall(r"--[\w-]+", line.partition("  ")[0])
        assert names == ["--help"] or any(re.search(rf"{name}\b", examples) for name in names), names


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(["--version"])
    assert info.value.code == 0
    assert re.fullmatch(r"m2v-onnx \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["export"],
        ["export", "source"],
        ["export", "source", "out", "--max-length", "many"],
        ["export", "source", "out", "--max-length", "-1"],
        ["embed"],
        ["embed", BUNDLE, "text", "--batch-size", "0"],
        ["embed", BUNDLE, "text", "--nonsense"],
        ["verify"],
        ["info"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert "usage: m2v-onnx" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--presicion", "--prec"])
def test_mistyped_options_show_the_command_s_own(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "source", "out", option, "int8"])
    error = capsys.readouterr().err
    assert error.startswith("usage: m2v-onnx export")
    assert f"m2v-onnx export: error: unrecognized arguments: {option} int8" in error
    assert error.endswith(f"; {option}: do you mean --precision?\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("index docs.parquet", "expected MODEL SOURCE, and SOURCE is missing; for example: m2v-onnx index minishlab/"),
        ("search BUNDLE", "expected MODEL QUERY, and QUERY is missing; for example: m2v-onnx search minishlab/"),
        ("embed --progress", "expected MODEL [TEXT], and MODEL is missing; for example: m2v-onnx embed minishlab/"),
        ("embed BUNDLE a --colums id", "unrecognized arguments: --colums id; --colums: do you mean --columns?"),
        ("embed BUNDLE a --onerror=skip", "--onerror=skip; --onerror: do you mean --on-error?"),
        ("serve BUNDLE --port 65536", "expected a number from 1 to 65535, got '65536'"),
    ],
)
def test_wrong_use_says_what_is_meant(arguments: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments.split())
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", BUNDLE, "text", "--input", "a.txt"], "got texts and --input: give one of them"),
        (["embed", BUNDLE, "--input", "a.rtf"], "--input: expected a .txt or .jsonl file, also .gz or .zst, got a.rtf"),
        (["embed", BUNDLE, "text", "--format", "txt"], "got texts as arguments, and --format or --skip-blank"),
        (["embed", BUNDLE, "text", "--output", "a.csv"], "--output: expected a .npy or .jsonl file, got a.csv"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in failed(capsys, *arguments, code=2)


def test_no_texts_from_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bytes, "isatty", lambda _: True)
    monkeypatch.setattr(sys, "stdin", Bytes(b""))
    assert "got no texts: give them as arguments" in failed(capsys, "embed", BUNDLE, code=2)


def test_export_and_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["export", str(POTION), str(out), "--name", "a/b", "--max-length", "40", "--no-normalize"]) == 0
    printed = capsys.readouterr().out
    manifest = json.loads((out / "config.json").read_text())["m2v_onnx"]["files"]
    for name in (BAG, TABLE):
        assert f"{manifest[name]['size']:>13,}  {manifest[name]['sha256']}  {name}\n" in printed
    assert re.search(r"^largest difference to the golden vectors: \d\.\de[-+]\d\d$", printed, re.MULTILINE)
    assert re.search(r"^golden vectors to model2vec: \d\.\de[-+]\d\d$", printed, re.MULTILINE)
    assert printed.endswith(f"wrote {out}\n")
    model = OnnxStaticModel.from_pretrained(out)
    assert (model.normalize, model.max_length) == (False, 40)
    assert main(["verify", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "sha256 of every file: as written" in printed
    assert f"{BAG}: token ids equal, largest difference to the golden vectors" in printed
    assert "model2vec" not in printed
    assert main(["verify", str(out), str(POTION)]) == 0
    assert "model2vec: token ids equal, largest difference" in capsys.readouterr().out


def test_export_without_limit_and_in_single_files(tmp_path: Path, small: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", str(small), str(out), "--max-length", "0", "--single-file"]) == 0
    assert OnnxStaticModel.from_pretrained(out).max_length is None
    assert not (out / TABLE).exists()


def test_export_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "exists: choose another output folder" in failed(capsys, "export", str(POTION), str(tmp_path), code=2)
    assert "no Model2Vec model folder" in failed(capsys, "export", str(tmp_path), str(tmp_path / "out"))
    assert "is a bundle already" in failed(capsys, "export", BUNDLE, str(tmp_path / "out"))
    assert "is a file: give the folder" in failed(capsys, "export", f"{BUNDLE}/README.md", str(tmp_path / "out"))
    assert "expected a path, a Hub id or a StaticModel, got ''" in failed(capsys, "export", "", str(tmp_path / "out"))
    assert "no name of a Hub repository (owner/name)" in failed(capsys, "export", "nope", str(tmp_path / "out"))
    source = Path(shutil.copytree(POTION, tmp_path / "source"))
    (source / "model.safetensors").write_bytes(b"")
    assert "model.safetensors" in failed(capsys, "export", str(source), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_verify_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], sources: dict[str, Path]) -> None:
    bundle = Path(shutil.copytree(POTION_BUNDLE, tmp_path / "bundle"))
    assert "model2vec gives other token ids" in failed(capsys, "verify", str(bundle), str(sources["made-wordlevel"]))
    content = bytearray((bundle / TABLE).read_bytes())
    content[4_000_000] ^= 255
    (bundle / TABLE).write_bytes(content)
    assert "model.onnx_data: expected sha256" in failed(capsys, "verify", str(bundle))
    assert "is no bundle" in failed(capsys, "verify", str(tmp_path))
    assert "is no bundle" in failed(capsys, "verify", str(tmp_path / "nothing"))


def test_verify_a_model_inside(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "minishlab/potion-base-2M"]) == 0
    assert "sha256 of every file: as written" in capsys.readouterr().out


def test_info(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["info", BUNDLE]) == 0
    printed = capsys.readouterr().out
    for fact in ("dim: +64", "normalize: +True", "max_length: +512", "unknown token: +1", "precision: +float32"):
        assert re.search(rf"^{fact}$", printed, re.MULTILINE), fact
    assert re.search(r"^source: +minishlab/potion-base-2M$", printed, re.MULTILINE)
    assert re.search(r"^tokens from: +(nanotoken|graph)\nwhy from there: +the fastest ", printed, re.MULTILINE)
    assert re.search(r"^ +bytes  file$", printed, re.MULTILINE)
    assert f"{(POTION_BUNDLE / TABLE).stat().st_size:>13,}  {TABLE}\n" in printed
    assert "expected a bundle" in failed(capsys, "info", str(tmp_path))


def test_embed_arguments(capsys: pytest.CaptureFixture[str], model_inside: OnnxStaticModel) -> None:
    """JSON lines on standard output that are the float32 values to the last bit."""
    assert main(["embed", "minishlab/potion-base-2M", "a whale", "", "zwölf Wale"]) == 0
    np.testing.assert_array_equal(rows(capsys.readouterr().out), model_inside.encode(["a whale", "", "zwölf Wale"]))


def test_embed_standard_input(capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel, stdin: Stdin) -> None:
    """A text a line, empty ones too; lines end at a line feed only, Windows' ones as well."""
    stdin("a whale\r\n\nline\u2028separator\x0bhere\nlast without end".encode())
    assert main(["embed", BUNDLE]) == 0
    wanted = potion.encode(["a whale", "", "line\u2028separator\x0bhere", "last without end"])
    np.testing.assert_array_equal(rows(capsys.readouterr().out), wanted)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 5000])
def test_embed_txt_to_npy(count: int, tmp_path: Path, potion: OnnxStaticModel) -> None:
    """The header is written anew as rows come: the file is what np.save would have written."""
    texts = [f"{CORPUS[i % len(CORPUS)]} {i}" for i in range(count)]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    out = tmp_path / "vectors.npy"
    arguments = ["--input", str(tmp_path / "texts.txt"), "--output", str(out), "--batch-size", "7"]
    assert main(["embed", BUNDLE, *arguments]) == 0
    found = np.load(out)
    assert (found.dtype, found.shape) == (np.float32, (count, 64))
    np.testing.assert_allclose(found, potion.encode(texts), rtol=0, atol=1e-6)
    np.save(tmp_path / "saved.npy", found)
    assert out.stat().st_size == (tmp_path / "saved.npy").stat().st_size
    assert np.load(out, mmap_mode="r").shape == (count, 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["saved.npy", "texts.txt", "vectors.npy"]


@pytest.mark.parametrize("dtype", ["float16", "int8", "binary"])
def test_embed_options_are_those_of_encode(dtype: str, tmp_path: Path, potion: OnnxStaticModel) -> None:
    texts, out = CORPUS[:20], tmp_path / "vectors.npy"
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    arguments = ["--dtype", dtype, "--max-length", "3", "--no-normalize", "--batch-size", "7"]
    assert main(["embed", BUNDLE, "--input", str(tmp_path / "texts.txt"), "--output", str(out), *arguments]) == 0
    wanted = potion.encode(texts, dtype=dtype, max_length=3, normalize=False)  # type: ignore[arg-type]
    assert_near(np.load(out), wanted, dtype)


def test_the_first_export_is_told(
    tmp_path: Path, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes seconds; the next time nothing is told."""
    monkeypatch.setenv("M2V_ONNX_CACHE", str(tmp_path))
    for told in (1, 0):
        assert main(["embed", str(small), "a whale"]) == 0
        printed = capsys.readouterr()
        assert printed.err.count("it is exported, this once") == told
        assert len(rows(printed.out)) == 1


def test_embed_without_limit(capsys: pytest.CaptureFixture[str], potion: OnnxStaticModel) -> None:
    text = "whale sea " * 600
    assert main(["embed", BUNDLE, text, "--max-length", "0"]) == 0
    np.testing.assert_allclose(rows(capsys.readouterr().out)[0], potion.encode(text, max_length=None), atol=1e-6)


def test_embed_jsonl_to_jsonl(tmp_path: Path, potion: OnnxStaticModel) -> None:
    """Strings and objects; the key is an option."""
    lines = ['"a whale"', '{"text": "zw\\u00f6lf", "id": 3}', '{"id": 4, "text": "\\n"}']
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out.jsonl"
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "in.jsonl"), "-o", str(out)]) == 0
    np.testing.assert_array_equal(rows(out.read_text()), potion.encode(["a whale", "zwölf", "\n"]))
    (tmp_path / "in.jsonl").write_text('{"body": "a whale"}')
    assert main(["embed", BUNDLE, "-i", str(tmp_path / "in.jsonl"), "-o", str(out), "--field", "body", "--force"]) == 0
    np.testing.assert_array_equal(rows(out.read_text()), potion.encode(["a whale"]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"fine"\n{nonsense', "line 2: expected JSON"),
        (b'{"body": "a"}', "line 1: no 'text' in ['body']: give the text's key by --field"),
        (b'"fine"\n7', "line 2: expected a text, got int"),
        (b'"fine"\n \n"fine"', "line 2: it is blank, and a vector for each line was expected: give --skip-blank"),
        (b'{"text": NaN}', "line 1: expected a text, got float"),
        (b'{"text": ["a"]}', "line 1: expected a text, got list"),
        (b'"fine"\n{"text": "a", "id": 1, "text": "b"}', "line 2: the key 'text' is there more than once"),
        (b'"fine"\n{"id": ' + b"9" * 5000 + b"}", "line 2: expected JSON"),
        (b'"fine"\n{"a":' * 50_000, "line 2: expected JSON"),
        (b"[" * 100_000, "line 1: expected JSON"),
        (b"\xff\xfe" + '"a"'.encode("utf-16-le"), "expected UTF-8, got UTF-16"),
        (b'{"text": null}', "line 1: expected a text, got NoneType"),
        (b'"caf\xe9"', "line 1: expected UTF-8"),
        (b'"fine"\n"\\ud800"', "line 2: its text has a lone surrogate, U+D800"),
    ],
)
def test_embed_lines_that_are_no_texts(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named by their line; no half of a file is left, and what was there before stays."""
    (tmp_path / "in.jsonl").write_bytes(content)
    (tmp_path / "out.npy").write_bytes(b"before")
    arguments = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.npy"), "--force"]
    assert message in failed(capsys, "embed", BUNDLE, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.npy"]
    assert (tmp_path / "out.npy").read_bytes() == b"before"


def test_embed_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = tmp_path / "nothing.txt"
    assert f"there is no file {nothing} to read texts from" in failed(capsys, "embed", BUNDLE, "-i", str(nothing))
    target = str(tmp_path / "no" / "out.npy")
    assert f"there is no folder {tmp_path / 'no'}: make it first" in failed(capsys, "embed", BUNDLE, "a", "-o", target)
    assert "no file or folder" in failed(capsys, "embed", str(tmp_path / "model"), "a")


def test_embed_files_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert main(["embed", BUNDLE, "a", "--output", str(tmp_path / "out.npy")]) == 0
    assert (tmp_path / "out.npy").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_embed_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["embed", BUNDLE, "a", "b", "--progress", "--output", str(tmp_path / "out.npy")]) == 0
    assert "2/2" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert "pip install 'm2v-onnx[export]'" in failed(capsys, "embed", BUNDLE, "a", "--progress")


def test_embed_streams() -> None:
    """Vectors come while the texts are still being written: nothing waits for the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "embed", BUNDLE, "--batch-size", "10"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        process.stdin.write(b"a whale\n" * 1000)
        process.stdin.flush()
        assert len(json.loads(process.stdout.readline())) == 64
        process.stdin.close()
        assert len(process.stdout.read().splitlines()) == 999
        assert process.wait() == 0
        process.stdout.close()
    finally:
        watchdog.cancel()
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with pipes")
def test_a_reader_that_leaves() -> None:
    """`| head -1` gets its line, and no traceback is shown."""
    command = f"yes whale | head -50000 | '{sys.executable}' -c '{MAIN}' embed '{BUNDLE}' | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert len(json.loads(done.stdout)) == 64
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["export", "source", "out"], "model2vec", "export"),
        (["export", "source", "out"], "onnx", "export"),
        (["verify", BUNDLE], "onnx", "export"),
        (["demo"], "pymilvus", "demo"),
        (["embed", "owner/model", "text"], "huggingface_hub", "hub"),
        (["info", str(POTION)], "model2vec", "export"),
    ],
)
def test_missing_extras_are_named(
    arguments: list[str],
    package: str,
    extra: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    error = failed(capsys, *arguments)
    assert f"needs the package {package}: pip install 'm2v-onnx[{extra}]'" in error


def test_help_without_any_extra() -> None:
    """Nothing but the standard library is needed to answer, and what costs time to load is not."""
    script = """
import sys
for name in ("onnx", "model2vec", "huggingface_hub", "tqdm", "pymilvus", "onnxruntime", "numpy", "tokenizers"):
    sys.modules[name] = None
from m2v_onnx.commands.main import main
main([sys.argv[1], "--help"])
"""
    for command in COMMANDS:
        done = subprocess.run([sys.executable, "-c", script, command], capture_output=True, text=True, check=True)
        assert "examples:" in done.stdout


def test_a_command_is_imported_alone() -> None:
    """The others would make its start longer."""
    code = "import sys; from m2v_onnx.commands.main import main; main(['info', sys.argv[1]]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, BUNDLE], capture_output=True, text=True, check=True)
    assert {each for each in COMMANDS if f"m2v_onnx.commands.{each}" in done.stdout.split()} == {"info"}


def test_an_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OnnxStaticModel, "from_pretrained", interrupted)
    assert main(["info", BUNDLE]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_the_installed_command() -> None:
    found = shutil.which("m2v-onnx", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("m2v-onnx is not installed beside this Python")
    done = subprocess.run([found, "info", BUNDLE], capture_output=True, text=True, check=True)
    assert "64" in done.stdout
