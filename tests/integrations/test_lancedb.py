"""LanceDB: tables whose texts are embedded, and that are opened again in another process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m2v_onnx import InvalidModelError, OnnxStaticModel
from tests.conftest import COMMITTED_BUNDLE

lancedb = pytest.importorskip("lancedb", reason="`make integrations` installs it")

from lancedb.embeddings import get_registry  # noqa: E402
from lancedb.pydantic import LanceModel, Vector  # noqa: E402

from m2v_onnx.integrations.lancedb import Model2VecEmbeddings  # noqa: E402

BUNDLE = str(COMMITTED_BUNDLE)
TEXTS = ["The whale sings to its calf.", "Salt the water before the pasta.", "naïve café 北京"]
QUERY = "how do I cook noodles"


def notes(**options: Any) -> Any:
    model = get_registry().get("m2v-onnx").create(name=BUNDLE, **options)

    class Notes(LanceModel):  # type: ignore[misc]
        text: str = model.SourceField()
        vector: Vector(model.ndims()) = model.VectorField()  # type: ignore[valid-type]

    return Notes


def test_a_table_is_opened_again(tmp_path: Path, model_inside: OnnxStaticModel) -> None:
    table = lancedb.connect(tmp_path).create_table("notes", schema=notes(normalize=False, max_length=None))
    table.add([{"text": text} for text in TEXTS])
    stored = np.stack(table.to_pandas()["vector"])
    np.testing.assert_array_equal(stored, model_inside.encode(TEXTS, normalize=False, max_length=None))
    assert table.search(QUERY).limit(1).to_list()[0]["text"] == TEXTS[1]
    script = f"""
import lancedb
{{}}
table = lancedb.connect({str(tmp_path)!r}).open_table("notes")
print(table.search({QUERY!r}).limit(1).to_list()[0]["text"])
(config,) = table.embedding_functions.values()
print(config.function.model.normalize, config.function.model.max_length)
"""
    done = run(script.format("import m2v_onnx.integrations.lancedb"))
    assert done.stdout == f"{TEXTS[1]}\nFalse None\n", done.stderr
    assert "m2v-onnx" in run(script.format("")).stderr


def test_options() -> None:
    with pytest.raises(TypeError, match="do you mean 'normalize'"):
        Model2VecEmbeddings.create(name=BUNDLE, normalise=True)
    with pytest.raises(InvalidModelError, match="expected 256"):
        Model2VecEmbeddings.create(name=BUNDLE, dim=256).ndims()


def test_an_error_is_told_at_once(tmp_path: Path) -> None:
    """LanceDB tries seven times more by default, for minutes."""
    table = lancedb.connect(tmp_path).create_table("notes", schema=notes())
    with pytest.raises(Exception, match=r"retries \(0\) exceeded.*NoneType at position 1"):
        table.add([{"text": "a"}, {"text": None}])
    assert table.count_rows() == 0


def run(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
