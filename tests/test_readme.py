"""The README's code runs and prints what the README says."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from m2v_onnx.commands.main import main
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PYTHON = [
    (code, output if kind == "text" else None)
    for (language, code), (kind, output) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if language == "python"
]
SHELL = [code for language, code in BLOCKS if language == "sh"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the README's relative paths lead to the models."""
    shutil.copytree(ROOT / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("code", "output"), PYTHON)
def test_python(code: str, output: str | None, elsewhere: Path) -> None:
    if "pymilvus" in code:
        pytest.importorskip("milvus_lite", reason="the extra demo is not installed")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert output is not None, "a block that prints is followed by what it prints"
    assert printed.getvalue() == output


def test_commands(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.partition("#")[0].strip() for code in SHELL for line in code.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("m2v-onnx ")]
    for command in commands:
        assert main(command[1:]) == 0, capsys.readouterr().err


def test_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_the_chinese_readme_has_the_same_code() -> None:
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    assert re.findall(r"^```.*?^```", chinese, re.MULTILINE | re.DOTALL) == re.findall(
        r"^```.*?^```", README, re.MULTILINE | re.DOTALL
    )
    links = re.findall(r"\]\((?!http)([^)#]+)", chinese)
    assert sorted({*links} - {"README.md"}) == sorted(
        {*re.findall(r"\]\((?!http)([^)#]+)", README)} - {"README.zh-CN.md"}
    )


def test_it_is_read_in_one_go() -> None:
    assert README.count("\n") <= 150


def test_no_path_of_a_machine() -> None:
    assert not re.search(r"/(home|root|tmp|work|Users)/", README)
