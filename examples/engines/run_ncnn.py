"""A graph in ncnn, converted by pnnx: run_ncnn.py GRAPH"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import ncnn
import numpy as np
from feeds import answer, convert, with_its_table

SHAPES = {
    "plain.onnx": "[4,8]i64,[4,8]i64",
    "bag.onnx": "[8]i64,[3]i64",
    "one.onnx": "[8]i64",
}

package = importlib.util.find_spec("pnnx")  # not imported, for that needs PyTorch
with tempfile.TemporaryDirectory() as folder:
    graph = with_its_table(sys.argv[1], folder)
    convert([Path(package.origin).with_name("pnnx"), graph.name, f"inputshape={SHAPES[graph.name]}"], folder)
    net = ncnn.Net()
    param, weights = (str(graph.with_suffix(f".ncnn.{kind}")) for kind in ("param", "bin"))
    if net.load_param(param) or net.load_model(weights):
        sys.exit("ncnn cannot load it: it has no such layer")


def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
    with net.create_extractor() as extractor:
        for i, array in enumerate(batch.values()):
            extractor.input(f"in{i}", ncnn.Mat(array.astype(np.int32)))
        code, out = extractor.extract("out0")
        if code:
            sys.exit(f"ncnn cannot run it: {code}")
        return np.array(out)


answer(embed)
