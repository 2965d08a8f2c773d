"""The examples: run where only Python is needed, and the same in the documents as in their files. `make conformance`
runs those of every language."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from m2v_export.bundle.snippets import SNIPPETS, Snippet
from tests.conftest import COMMITTED_BUNDLE, ROOT

EXAMPLES = ROOT / "examples"
FOLDERS = sorted(path.parent for path in EXAMPLES.rglob("README.md") if path.parent != EXAMPLES)
EXACT_VERSION = re.compile(r"\d[\w.-]*")


@pytest.fixture(scope="module")
def conformance() -> Iterator[ModuleType]:
    """The runner, which imports its neighbour."""
    spec = importlib.util.spec_from_file_location("conformance", EXAMPLES / "conformance.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        patch.setitem(sys.modules, "conformance", module)
        spec.loader.exec_module(module)
        yield module


def python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "python" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def test_golden() -> None:
    result = python("golden.py", COMMITTED_BUNDLE)
    assert result.returncode == 0, result.stderr
    assert re.search(r"token ids equal, vectors off by at most \S+ in a batch, \S+ alone", result.stdout)


def test_a_wrong_golden_file_is_seen(conformance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "WORK", tmp_path)
    wrong_id, wrong_number = conformance.spoil(COMMITTED_BUNDLE)
    for bundle, words in ((wrong_id, "token ids"), (wrong_number, "a vector is off by")):
        result = python("golden.py", bundle)
        assert result.returncode == 1
        assert words in result.stderr


def test_a_nan_is_seen(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(COMMITTED_BUNDLE, bundle)
    golden = json.loads((bundle / "golden.json").read_text())
    golden["texts"][0]["sentence_embedding"][0] = float("nan")
    (bundle / "golden.json").write_text(json.dumps(golden))
    assert "a vector is off by nan" in python("golden.py", bundle).stderr


def test_the_readme_shows_what_is_printed() -> None:
    shown = (EXAMPLES / "README.md").read_text()
    command, *lines = re.findall(r"^(\$ .*|-?\d.*\(\d+ dimensions\).*)$", shown, re.MULTILINE)
    texts = re.findall(r'"(.*?)"', command)
    assert python("embed.py", COMMITTED_BUNDLE, *texts).stdout.splitlines() == lines


def test_the_runner_has_every_example(conformance: ModuleType) -> None:
    assert sorted(EXAMPLES / example.name for example in conformance.EXAMPLES) == FOLDERS
    shown = (EXAMPLES / "README.md").read_text()
    for example in conformance.EXAMPLES:
        assert f"]({example.name})" in shown


def test_a_missing_tool_skips_and_fails_ci(
    conformance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = conformance.Example("cobol", tools=("no-such-compiler",), build=(), test=())
    monkeypatch.setattr(conformance, "EXAMPLES", (example,))
    monkeypatch.setattr(conformance, "WORK", tmp_path)
    monkeypatch.setattr(sys, "argv", ["conformance.py", str(COMMITTED_BUNDLE)])
    monkeypatch.delenv("CI", raising=False)
    assert conformance.main() == 0
    monkeypatch.setenv("CI", "true")
    assert conformance.main() == 1
    line = "skipped cobol: no no-such-compiler"
    assert capsys.readouterr().out.splitlines() == 2 * [line, "0 passed, 0 failed, 1 skipped"]


def test_a_failing_command_is_told(conformance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (sys.executable, "-c", "import sys; sys.exit('this is why')")
    example = conformance.Example("broken", tools=(), build=(broken,), test=())
    monkeypatch.setattr(conformance, "WORK", tmp_path / "work")
    monkeypatch.setattr(conformance, "HERE", tmp_path)
    (tmp_path / "broken").mkdir()
    ((label, outcome, words),) = conformance.outcomes(example, [COMMITTED_BUNDLE], [])
    assert (label, outcome) == ("broken build", "failed")
    assert "this is why" in words


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("package.json")), ids=lambda path: path.parent.name)
def test_npm_versions_are_pinned(path: Path) -> None:
    package = json.loads(path.read_text())
    for version in {**package["dependencies"], **package.get("devDependencies", {})}.values():
        assert EXACT_VERSION.fullmatch(version)
    assert not list(path.parent.glob("package-lock.json")), "it would name the registry of the machine that wrote it"


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("requirements.txt")), ids=lambda path: path.parent.name)
def test_pip_versions_are_pinned(path: Path) -> None:
    assert all("==" in line for line in path.read_text().splitlines())


def is_part(text: str, path: Path) -> bool:
    """Does a file have these lines, whatever they are indented by?"""
    wanted = text.strip()
    lines = path.read_text().splitlines()
    count = wanted.count("\n") + 1
    return any(dedent("\n".join(lines[start : start + count])).strip() == wanted for start in range(len(lines)))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.fence)
def test_the_card_shows_the_examples(snippet: Snippet) -> None:
    if not is_part(snippet.text, EXAMPLES / snippet.file):
        pytest.fail(f"examples/{snippet.file} has changed: copy the part into export/m2v_export/snippets.py")
    assert f"```{snippet.fence}{snippet.text}```" in (COMMITTED_BUNDLE / "README.md").read_text()


@pytest.mark.parametrize("snippet", SNIPPETS[1:], ids=lambda snippet: snippet.fence)
def test_the_readme_shows_the_examples(snippet: Snippet) -> None:
    """But for Python, whose code in README.md is run."""
    assert SNIPPETS[0].name == "Python"
    (shown,) = re.findall(
        rf"^```{snippet.fence}\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert is_part(shown, EXAMPLES / snippet.file), f"examples/{snippet.file} has changed: copy the part into README.md"


def test_the_readme_names_the_pinned_versions() -> None:
    """Those of the bindings, in the table of examples/README.md."""
    rows = re.findall(r"^\| \[\w+\]\((\w+)\) \| (.*?) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    manifests = ("requirements.txt", "package.json", "pom.xml", "go.mod", "Cargo.toml")
    for folder, binding in rows:
        for version in re.findall(r"\d+\.[\w.-]*\w", binding):
            pinned = [(EXAMPLES / folder / name) for name in manifests if (EXAMPLES / folder / name).exists()]
            assert any(version in path.read_text() for path in pinned), f"{folder}: {version}"


def test_links() -> None:
    documents = [*EXAMPLES.rglob("README.md"), ROOT / "docs" / "edge.md", ROOT / "docs" / "readers.md"]
    for document in documents:
        for target in re.findall(r"\]\((?!http)(.*?)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
