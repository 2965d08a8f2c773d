"""The pages in docs/: their code runs and prints what they say, their links lead somewhere, no option is left out."""

import argparse
import re
import shutil
from pathlib import Path

import pytest

from m2v_onnx.commands.main import _parse, _parser, main
from tests.conftest import ROOT
from tests.pages import Block, blocks, broken_links, printed

PAGES = {page.name: page for page in sorted((ROOT / "docs").glob("*.md"))}
BLOCKS = {name: blocks(page.read_text(encoding="utf-8")) for name, page in PAGES.items()}
RUN = [
    name
    for name, found in BLOCKS.items()
    if any(block.language == "python" or (block.language == "sh" and block.commands) for block in found)
]


@pytest.mark.parametrize("name", RUN)
def test_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From top to bottom, in a folder where the models are."""
    if any("pymilvus" in block.code or "m2v-onnx demo" in block.code for block in BLOCKS[name]):
        pytest.importorskip("milvus_lite", reason="the extra demo is not installed")
    shutil.copytree(ROOT / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    for block in BLOCKS[name]:
        if block.language == "python":
            assert printed(block.code, name) == (block.prints or "")
        elif block.language == "sh":
            for command in block.commands:
                assert main(command) == 0, f"{command}: {capsys.readouterr().err}"


def _shown() -> list[list[str]]:
    shell: list[Block] = [b for found in BLOCKS.values() for b in found if b.language in ("sh", "console")]
    return [command for block in shell for command in block.commands]


def test_commands_are_understood() -> None:
    shown = _shown()
    assert len(shown) >= 20
    for command in shown:
        _parse(_parser(), command)


def test_every_option_is_in_use() -> None:
    (commands,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    shown = _shown()
    for name, parser in commands.choices.items():
        used = {argument for command in shown if command[0] == name for argument in command}
        assert any(command[0] == name for command in shown), f"no page uses m2v-onnx {name}"
        long = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
        assert long - {"--help"} <= used, f"m2v-onnx {name}: no page uses these"


@pytest.mark.parametrize("name", PAGES)
def test_python_compiles(name: str) -> None:
    for block in BLOCKS[name]:
        if block.language in ("py", "python"):
            compile(block.code, name, "exec")


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    assert broken_links(PAGES[name]) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_path_of_a_machine(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", PAGES[name].read_text(encoding="utf-8"))
