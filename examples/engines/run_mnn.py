"""A graph in MNN: run_mnn.py GRAPH [OUTPUT]"""

import sys
import tempfile
from pathlib import Path

import MNN
import numpy as np
from feeds import OUTPUT, answer, convert, with_its_table

INPUTS = {
    "plain.onnx": ["input_ids", "attention_mask"],
    "bag.onnx": ["input_ids", "offsets"],
    "one.onnx": ["input_ids"],
}

names = INPUTS[Path(sys.argv[1]).name]
with tempfile.TemporaryDirectory() as folder:
    # An int8 table in a file of its own is converted without a word, and the result does not load.
    graph, converted = with_its_table(sys.argv[1], folder), Path(folder) / "model.mnn"
    # What `mnnconvert` calls. That command itself also installs a package by pip and reports the conversion to Alibaba.
    converter = [sys.executable, "-c", "import _tools, sys; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"]
    convert([*converter, "-f", "ONNX", "--modelFile", graph, "--MNNModel", converted, "--bizCode", "m2v"], folder)
    module = MNN.nn.load_module_from_file(str(converted), names, [OUTPUT])


def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
    def variable(array: np.ndarray) -> MNN.expr.Var:
        return MNN.expr.const(array.astype(np.int32), list(array.shape), MNN.expr.NCHW, MNN.expr.int)

    (vectors,) = module.onForward([variable(batch[name]) for name in names])
    return MNN.expr.convert(vectors, MNN.expr.NCHW).read()


answer(embed)
