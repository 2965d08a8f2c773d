"""Which package may import which: docs/architecture.md's table, held true.

Each part imports from those below it in its list, and from itself. The exporter stands on the runtime's ``vectors``,
``models`` and the ground; the runtime reaches the exporter in one place, inside a function.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

RUNTIME = (
    "m2v_onnx.__main__",
    "m2v_onnx.commands",
    "m2v_onnx.corpus",
    "m2v_onnx.serve",
    "m2v_onnx.integrations",
    "m2v_onnx.pipeline",
    "m2v_onnx.milvus",
    "m2v_onnx.model",
    "m2v_onnx.vectors",
    "m2v_onnx.models",
    "m2v_onnx.limits",
    "m2v_onnx.ort",
    "m2v_onnx.telemetry",
    "m2v_onnx.errors",
    "m2v_onnx.lazy",
)
"""From the top to the ground."""

EXPORTER = (
    "m2v_export.exporter",
    "m2v_export.bundle",
    "m2v_export.text.samples",
    "m2v_export.text.graph",
    "m2v_export.text.kinds",
    "m2v_export.text.bpe",
    "m2v_export.text.unigram",
    "m2v_export.text.wordlevel",
    "m2v_export.text.wordpiece",
    "m2v_export.text.stages",
    "m2v_export.text.tables",
    "m2v_export.text.limits",
    "m2v_export.text.errors",
    "m2v_export.graphs",
    "m2v_export.source",
)
"""From the top to the ground."""

GROUND_OF_EXPORTER = (
    "m2v_onnx.vectors",
    "m2v_onnx.models",
    "m2v_onnx.limits",
    "m2v_onnx.ort",
    "m2v_onnx.errors",
    "m2v_onnx.lazy",
)

WAY_UP = ("m2v_onnx.models.cache", "m2v_export")
"""The one place where the runtime imports the exporter: a Model2Vec folder is exported on first use."""


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports from, and whether it does so when it is loaded."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports do not show where they lead"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) not in inside


def _module(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _floor(module: str, floors: tuple[str, ...]) -> int | None:
    """The part of the list that a module, or a name of it, is in; None for others."""
    return next((i for i, floor in enumerate(floors) if f"{module}.".startswith(f"{floor}.")), None)


FILES = [
    *((_module(path, ROOT), path) for path in sorted((ROOT / "m2v_onnx").rglob("*.py"))),
    *((_module(path, ROOT / "export"), path) for path in sorted((ROOT / "export").rglob("*.py"))),
]
PACKAGES = ("m2v_onnx", "m2v_export", "m2v_export.text")
"""Their ``__init__`` names what is public; it is above all."""


@pytest.mark.parametrize(("module", "path"), FILES, ids=[module for module, _ in FILES])
def test_no_import_runs_up(module: str, path: Path) -> None:
    if module in PACKAGES:
        return
    floors = RUNTIME if module.startswith("m2v_onnx.") else EXPORTER
    own = _floor(module, floors)
    assert own is not None, f"{module} is in no part of the layout: give it a room, or add one to the list"
    for name, at_load in _imports(path):
        package = name.partition(".")[0]
        if package not in ("m2v_onnx", "m2v_export"):
            continue
        if package == "m2v_export" and floors is RUNTIME:
            assert not at_load, f"{module} imports the exporter when it is loaded"
            assert module == WAY_UP[0] or module.startswith("m2v_onnx.commands"), f"{module} imports the exporter"
        elif package == "m2v_onnx" and floors is EXPORTER:
            assert _floor(name, GROUND_OF_EXPORTER) is not None, f"{module} imports {name}"
        else:
            its = _floor(name, floors)
            if its is None and name.rpartition(".")[0] == "m2v_export.text":  # a public name of that package
                its = floors.index("m2v_export.text.graph")
            assert its is not None, f"{module} imports {name}, which is in no part of the layout"
            assert its >= own, f"{module} imports {name}, which is above it"


def test_no_circles() -> None:
    """Of modules that are imported when others are loaded."""
    known = {module for module, _ in FILES}

    def home(name: str) -> str:
        return name if name in known else name.rpartition(".")[0]

    graph = {module: {home(name) for name, at_load in _imports(path) if at_load} & known for module, path in FILES}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle of imports: {' -> '.join((*way[way.index(module) :], module))}"
        if module not in done:
            for other in sorted(graph[module] - {module}):
                visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())
