"""A repository with all precisions, loaded by its name by programs of others: ``make readers`` installs them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.conftest import COMMITTED_BUNDLE, POTION, POTION_BUNDLE, SHARED_FOLDER, exported_once
from tests.hub_server import TOKEN, Hub, runner, serving

NAME = "owner/potion-base-2M-onnx"
TEXTS = ["It's dangerous to go alone!", "Take this.", ""]
LEAST_COSINE = {"fp32": 0.999999, "fp16": 0.999999, "int8": 0.9995, "q8": 0.9995, "q4": 0.98}

NODE = os.environ.get("M2V_ONNX_NODE", "")
"""A folder where the npm package @huggingface/transformers is installed."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """With the repository, as push makes it."""
    bundle = exported_once(POTION, SHARED_FOLDER / "potion-all", name="minishlab/potion-base-2M", all_precisions=True)
    with serving(tmp_path / "repositories") as hub:
        pushed = runner(hub, tmp_path)("push", str(bundle), NAME, "--public", cli=True, HF_TOKEN=TOKEN)
        assert pushed.code == 0, pushed.error
        yield hub


def run(command: list[str], code: str, folder: Path, hub: Hub) -> Any:
    """What a program prints, as JSON."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    variables |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    variables |= {"ORT_DISABLE_TELEMETRY": "1", "FASTEMBED_CACHE_PATH": str(folder / "fastembed")}
    arguments = [*command, code, json.dumps({"name": NAME, "texts": TEXTS, "host": hub.endpoint, "cache": str(folder)})]
    done = subprocess.run(
        arguments, env=variables, cwd=NODE or folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_near(found: npt.NDArray[np.float32], dtype: str) -> None:
    """To the float32 model's vectors, for text without tokens zeros."""
    from m2v_onnx import OnnxStaticModel

    expected = OnnxStaticModel.from_pretrained(POTION_BUNDLE).encode(TEXTS)
    assert not found[2].any()
    norms = np.linalg.norm(found[:2], axis=1) * np.linalg.norm(expected[:2], axis=1)
    assert ((found[:2] * expected[:2]).sum(axis=1) / norms).min() >= LEAST_COSINE[dtype]
    if dtype in ("int8", "q8"):
        exact = OnnxStaticModel.from_pretrained(COMMITTED_BUNDLE).encode(TEXTS)
        np.testing.assert_allclose(found, exact, atol=1e-6)


FASTEMBED = """
import json, sys
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
given = json.loads(sys.argv[1])
found = {}
for dtype, (file, more) in {
    "fp32": ("onnx/model.onnx", ["onnx/model.onnx_data"]),
    "fp16": ("onnx/model_fp16.onnx", []),
    "int8": ("onnx/model_int8.onnx", []),
    "q4": ("onnx/model_q4.onnx", []),
}.items():
    TextEmbedding.add_custom_model(
        model="local/" + dtype, sources=ModelSource(hf=given["name"]), dim=64, pooling=PoolingType.DISABLED,
        normalization=False, output_name="sentence_embedding", model_file=file, additional_files=more,
    )
    model = TextEmbedding("local/" + dtype, cache_dir=given["cache"] + "/" + dtype)
    found[dtype] = [vector.tolist() for vector in model.embed(given["texts"])]
print(json.dumps(found))
"""


@pytest.mark.skipif(find_spec("fastembed") is None, reason="fastembed is not installed: make readers")
def test_fastembed(hub: Hub, tmp_path: Path) -> None:
    found = run([sys.executable, "-c"], FASTEMBED, tmp_path, hub)
    assert found.keys() == {"fp32", "fp16", "int8", "q4"}
    for dtype, vectors in found.items():
        assert_near(np.array(vectors, np.float32), dtype)


TRANSFORMERS_JS = """
import { AutoModel, AutoTokenizer, env } from "@huggingface/transformers";
const { name, texts, host, cache } = JSON.parse(process.argv[1]);
env.remoteHost = host;
env.cacheDir = cache;
env.allowLocalModels = false;
const tokenizer = await AutoTokenizer.from_pretrained(name);
const found = {};
for (const dtype of ["fp32", "fp16", "int8", "q8", "q4"]) {
  const model = await AutoModel.from_pretrained(name, { dtype });
  const { sentence_embedding } = await model(tokenizer(texts, { padding: true, truncation: true }));
  found[dtype] = sentence_embedding.tolist();
}
console.log(JSON.stringify(found));
"""


@pytest.mark.skipif(not NODE, reason="M2V_ONNX_NODE is not set: make readers")
def test_transformers_js(hub: Hub, tmp_path: Path) -> None:
    found = run(["node", "--input-type=module", "-e"], TRANSFORMERS_JS, tmp_path, hub)
    assert found.keys() == LEAST_COSINE.keys()
    for dtype, vectors in found.items():
        assert_near(np.array(vectors, np.float32), dtype)
    files = {"fp32": "", "fp16": "_fp16", "int8": "_int8", "q8": "_quantized", "q4": "_q4"}
    assert {f"onnx/model{suffix}.onnx" for suffix in files.values()} <= set(hub.downloads)
