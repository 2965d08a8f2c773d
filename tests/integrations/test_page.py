"""docs/frameworks.md: each framework's own quickstart with the embedding swapped runs, and prints what the page says.

Those that bring more than a test suite should install are in the extras ``integrations`` and ``integrations-torch``:
``make integrations``, ``make integrations-torch``.
"""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import Block, blocks, printed

PAGE = ROOT / "docs" / "frameworks.md"
BLOCKS = [block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "py"]
PACKAGES = {
    "langchain": "langchain_core",
    "sentence_transformers": "m2v_onnx",
    "chroma": "chromadb",
    "llama_index": "llama_index.core",
    "haystack": "haystack",
    "lancedb": "lancedb",
    "txtai": "txtai",
    "dspy": "dspy",
}
"""What an adapter's module needs."""


def adapter(block: Block) -> str:
    name: str
    (name,) = set(re.findall(r"m2v_onnx\.integrations\.(\w+)", block.code))
    return name


@pytest.mark.parametrize("block", BLOCKS, ids=adapter)
def test_quickstart(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        PACKAGES[adapter(block)], reason="`make integrations`, or `make integrations-torch`, installs it"
    )
    monkeypatch.chdir(tmp_path)
    assert printed(block.code, f"{PAGE.name}, {adapter(block)}") == block.prints


def test_every_adapter_is_shown() -> None:
    modules = {path.stem for path in (ROOT / "m2v_onnx" / "integrations").glob("*.py")} - {"__init__", "described"}
    assert modules == {adapter(block) for block in BLOCKS}
