"""The README's code runs and prints what the README says."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import blocks, broken_links, printed

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = blocks(README)
PYTHON = [(block.code, block.prints) for block in BLOCKS if block.language == "python"]


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
    assert output is not None, "a block that prints is followed by what it prints"
    assert printed(code, "README.md") == output


def test_make_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links() -> None:
    assert broken_links(ROOT / "README.md") == []


def test_the_chinese_readme_has_the_same_code() -> None:
    chinese = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    assert re.findall(r"^```.*?^```", chinese, re.MULTILINE | re.DOTALL) == re.findall(
        r"^```.*?^```", README, re.MULTILINE | re.DOTALL
    )
    links = re.findall(r"\]\((?!http)([^)#]+)", chinese)
    assert {*links} - {"README.md"} == {*re.findall(r"\]\((?!http)([^)#]+)", README)} - {"README.zh-CN.md"}


def test_it_is_read_in_one_go() -> None:
    assert README.count("\n") <= 150


def test_no_path_of_a_machine() -> None:
    assert not re.search(r"/(home|root|tmp|work|Users)/", README)
