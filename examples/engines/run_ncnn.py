"""A graph in ncnn, converted by pnnx: run_ncnn.py GRAPH"""

import subprocess
import sys
import tempfile
from pathlib import Path

import ncnn
import numpy as np
import onnx
from feeds import answer

graph = Path(sys.argv[1])
folder = Path(tempfile.mkdtemp())
onnx.save(onnx.load(graph), folder / "m.onnx")
command = [Path(sys.executable).with_name("pnnx"), "m.onnx", "inputshape=[4,8]i64,[4,8]i64"]
subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr)

net = ncnn.Net()
if net.load_param(str(folder / "m.ncnn.param")) or net.load_model(str(folder / "m.ncnn.bin")):
    sys.exit("ncnn cannot load it")


def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
    with net.create_extractor() as extractor:
        for i, array in enumerate(batch.values()):
            extractor.input(f"in{i}", ncnn.Mat(array.astype(np.int32)))
        code, out = extractor.extract("out0")
        if code:
            sys.exit(f"ncnn cannot run it: {code}")
        return np.array(out)


answer(embed)
