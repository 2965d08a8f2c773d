"""A graph in MNN: run_mnn.py GRAPH"""

import subprocess
import sys
import tempfile
from pathlib import Path

import MNN
import numpy as np
from feeds import answer

INPUTS = {
    "plain.onnx": ["input_ids", "attention_mask"],
    "bag.onnx": ["input_ids", "offsets"],
    "one.onnx": ["input_ids"],
}

graph = Path(sys.argv[1])
names = INPUTS[graph.name]
with tempfile.TemporaryDirectory() as folder:
    converted = Path(folder) / "model.mnn"
    converter = [Path(sys.executable).with_name("mnnconvert"), "-f", "ONNX"]
    command = [*converter, "--modelFile", graph, "--MNNModel", converted, "--bizCode", "m2v"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    module = MNN.nn.load_module_from_file(str(converted), names, ["sentence_embedding"])


def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
    def variable(array: np.ndarray) -> MNN.expr.Var:
        return MNN.expr.const(array.astype(np.int32), list(array.shape), MNN.expr.NCHW, MNN.expr.int)

    (vectors,) = module.onForward([variable(batch[name]) for name in names])
    return MNN.expr.convert(vectors, MNN.expr.NCHW).read()


answer(embed)
