"""The examples: run where only Python is needed, and the same in the documents as in their files. `make conformance`
runs those of every language."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from m2v_export.bundle.snippets import SNIPPETS, Snippet
from tests.conftest import COMMITTED_BUNDLE, ROOT

EXAMPLES = ROOT / "examples"
LANGUAGES = ROOT / "docs" / "other-languages.md"
FOLDERS = sorted(path.parent for path in EXAMPLES.rglob("README.md") if path.parent != EXAMPLES)
MANIFESTS = ("requirements.txt", "package.json", "pom.xml", "go.mod", "Cargo.toml")
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


def test_the_readme_shows_what_is_printed(conformance: ModuleType) -> None:
    shown = (EXAMPLES / "README.md").read_text()
    command, *lines = re.findall(r"^(\$ .*|-?\d.*\(\d+ dimensions\).*)$", shown, re.MULTILINE)
    texts = re.findall(r'"(.*?)"', command)
    assert conformance.pages.BUNDLE.name in command
    assert python("embed.py", conformance.pages.BUNDLE, *texts).stdout.splitlines() == lines


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


def test_every_program_has_a_page_from_an_empty_folder(conformance: ModuleType) -> None:
    pages = conformance.pages
    for example in conformance.EXAMPLES:
        if not example.embed:
            continue
        page = conformance.page(example)
        if pages.with_files(page) != page.read_text(encoding="utf-8"):
            pytest.fail(f"{page} has not the files as they are: python examples/pages.py")
        printed = [step.prints for step in pages.steps(page) if step.prints]
        texts = re.findall(r'"(.*?)"', next(step.text for step in pages.steps(page) if step.prints))
        assert printed == [python("embed.py", pages.BUNDLE, *texts).stdout]


def test_the_pages_name_the_pinned_versions(conformance: ModuleType) -> None:
    library = (EXAMPLES / "python" / "requirements.txt").read_text()
    for page in conformance.pages.pages():
        manifests = "".join(path.read_text() for path in page.parent.iterdir() if path.name in MANIFESTS)
        commands = "".join(step.text for step in conformance.pages.steps(page) if not step.file)
        for version in re.findall(r"(?:==|@v?)(\d+\.[\w.-]*\w)", commands):
            assert version in manifests + library, f"{page}: {version}"


def test_a_page_that_prints_something_else_fails(
    conformance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "WORK", tmp_path / "work")
    monkeypatch.setattr(conformance, "HERE", tmp_path)
    example = conformance.Example("small", tools=(), build=(), test=())
    page = conformance.page(example)
    page.parent.mkdir()
    fence = "```"
    page.write_text(
        "# Small\n\n## From an empty folder\n\nSave this as `say.sh`:\n\n"
        f'{fence}sh\necho "0.1 0.2 0.3 $4 $(ls bundle/onnx | tr -d "\\n")"\n{fence}\n\n'
        f"Run it:\n\n{fence}sh\nexport FOURTH=0.4\n{fence}\n\n"
        f"{fence}sh\nsh say.sh 1 2 3 $FOURTH\n{fence}\n\n"
        f"{fence}text\n0.1 0.2 0.3 0.4 model.onnx_datatext.onnx\n{fence}\n\n"
        f"## Test\n\n{fence}sh\nexit 1\n{fence}\n"
    )
    assert conformance.follow(example) == ""
    page.write_text(page.read_text().replace("0.3 0.4", "0.3 0.5"))
    assert "expected `0.1 0.2 0.3 0.5" in conformance.follow(example)
    page.write_text(page.read_text().replace("sh say.sh", "sh said.sh"))
    assert "exited with" in conformance.follow(example)


def test_a_program_that_writes_elsewhere_or_asks_is_seen(conformance: ModuleType, tmp_path: Path) -> None:
    skip_untraced(conformance)
    own = tmp_path / "own"
    own.mkdir()
    script = f"""
import os, pathlib, socket
pathlib.Path("here").touch()
os.rename("here", "there")
assert "CI" not in os.environ
pathlib.Path(os.path.expanduser("~/kept")).touch()
os.chdir({str(tmp_path)!r})
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.connect(("127.0.0.1", 9))
"""
    command = (sys.executable, "-B", "-c", script)
    found = conformance.traced.surprises(command, own, environment={**os.environ, "CI": "true"})
    assert [word for line in found for word in ("home/kept", "chdir", "AF_INET") if word in line] == [
        "home/kept",
        "chdir",
        "AF_INET",
    ]
    assert len(found) == 3


def test_the_python_program_writes_and_asks_nothing(conformance: ModuleType, tmp_path: Path) -> None:
    """`make conformance` traces those of the other languages."""
    skip_untraced(conformance)
    command = (sys.executable, "-B", EXAMPLES / "python" / "embed.py", COMMITTED_BUNDLE, "Take this.")
    assert conformance.traced.surprises([*map(str, command)], tmp_path) == []


def skip_untraced(conformance: ModuleType) -> None:
    missing = conformance.traced.missing()
    if missing:
        pytest.skip(missing)


def test_the_benchmarks_send_no_telemetry() -> None:
    """Every one of them, for each is a module of this package."""
    script = "import os, sys, benchmarks; assert 'onnxruntime' not in sys.modules; print(os.environ[sys.argv[1]])"
    variables = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    for given, kept in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        command = [sys.executable, "-c", script, "ORT_DISABLE_TELEMETRY"]
        result = subprocess.run(command, cwd=ROOT, env={**variables, **given}, capture_output=True, text=True)
        assert result.stdout.strip() == kept, result.stderr


QUIET = {
    "python/embed.py": "enable_mem_pattern = False",
    "node/embed.mjs": "enableMemPattern: false",
    "java/src/main/java/example/Embed.java": "setMemoryPatternOptimization(false)",
    "go/embed.go": "SetMemPattern(false)",
    "rust/src/lib.rs": "with_memory_pattern(false)",
    "cpp/text_encoder.hpp": "DisableMemPattern()",
}


@pytest.mark.parametrize(("file", "setting"), QUIET.items())
def test_memory_patterns_are_off(file: str, setting: str) -> None:
    assert setting in (EXAMPLES / file).read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_sizes_seen() -> None:
    script = """
import random, sys
sys.path.insert(0, sys.argv[1])
from embed import embed, open_session

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

session = open_session(sys.argv[2])
random.seed(0)
for batch in range(2_000):
    embed(session, ["whales breathe " * random.randint(1, 30) for _ in range(random.randint(1, 32))])
    if batch == 500:
        start = resident()
print(resident() - start)
"""
    command = [sys.executable, "-c", script, str(EXAMPLES / "python"), str(COMMITTED_BUNDLE)]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(grown) < 2_000, "KiB; with the memory pattern it was 4,336, without it 4"


def test_a_cut_text_has_the_same_tokens() -> None:
    """As the examples cut: by characters, by four bytes or two UTF-16 units for each, in the middle of a character."""
    session = onnxruntime.InferenceSession(COMMITTED_BUNDLE / "onnx" / "text.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    limit = int(metadata["max_length"]) * int(metadata["median_token_length"])

    def run(texts: list[bytes]) -> list[npt.NDArray[Any]]:
        offsets = np.cumsum([0, *map(len, texts)])[:-1]
        feeds = {"utf8": np.frombuffer(b"".join(texts), np.uint8), "offsets": offsets}
        outputs: list[npt.NDArray[Any]] = session.run(None, feeds)
        return outputs

    for repeated in ("日é👍", "👍", "é x", "word ", "e\u0301"):
        for start in ("", "x", "xy", "é"):
            text = start + repeated * (4 * limit)
            whole = run([text.encode(), b"after"])
            for cut in (
                text[:limit].encode(),
                text.encode()[: 4 * limit],
                text.encode("utf-16-le")[: 4 * limit].decode("utf-16-le", "replace").encode(),
            ):
                for expected, found in zip(whole, run([cut, b"after"]), strict=True):
                    np.testing.assert_array_equal(found, expected)


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
def test_the_docs_show_the_examples(snippet: Snippet) -> None:
    """But for Python, whose code on that page is run."""
    assert SNIPPETS[0].name == "Python"
    (shown,) = re.findall(rf"^```{snippet.fence}\n(.*?)^```", LANGUAGES.read_text(), re.MULTILINE | re.DOTALL)
    assert is_part(shown, EXAMPLES / snippet.file), (
        f"examples/{snippet.file} has changed: copy the part into {LANGUAGES.name}"
    )


def test_the_readme_names_the_pinned_versions() -> None:
    """Those of the bindings, in the table of examples/README.md."""
    rows = re.findall(r"^\| \[\w+\]\((\w+)\) \| (.*?) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    for folder, binding in rows:
        for version in re.findall(r"\d+\.[\w.-]*\w", binding):
            pinned = [(EXAMPLES / folder / name) for name in MANIFESTS if (EXAMPLES / folder / name).exists()]
            assert any(version in path.read_text() for path in pinned), f"{folder}: {version}"


def test_links() -> None:
    documents = [*EXAMPLES.rglob("README.md"), ROOT / "docs" / "edge.md", ROOT / "docs" / "readers.md"]
    for document in documents:
        for target in re.findall(r"\]\((?!http)(.*?)\)", document.read_text()):
            assert (document.parent / target.partition("#")[0]).exists(), f"{document}: {target}"
