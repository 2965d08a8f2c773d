#!/usr/bin/env bash
# MNN 3.6.1 (PyPI), Module API: a division by a tensor's size is not done.
#
# Seen:    Div (total, Cast (Shape (numbers))) is `total`, for any number of numbers. Mul and Add with the same Cast are
#          right, and so is the Cast itself as an output. The conversion ends with 0 and says nothing.
# Guessed: that the mean comes out, as in onnxruntime.
# Matters: one.onnx of a model that does not normalize divides a sum by the number of tokens like that, and gives the sum
#          in MNN. The file for MNN is plain.onnx, which divides by a sum over the attention mask.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet MNN==3.6.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cd "$scratch"
"$scratch/venv/bin/python" - << 'PYTHON'
import subprocess
import sys

import MNN
import numpy as np
import onnx
import onnxruntime
from onnx import parser

GRAPH = """
<ir_version: 8, opset_import: ["": 13]>
g (float[N] numbers) => (float[1] result) <int64[1] first = {{0}}> {{
   total = ReduceSum <keepdims: int = 1> (numbers, first)
   size = Shape (numbers)
   count = Cast <to: int = 1> (size)
   result = {operator} (total, count)
}}
"""
# What the command mnnconvert calls; the command itself also reports the conversion.
CONVERT = "import _tools, sys; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"
numbers = np.array([1, 2, 6], np.float32)
seen = {}
for operator in ("Div", "Mul"):
    model = parser.parse_model(GRAPH.format(operator=operator))
    onnx.save(model, "model.onnx")
    options = ["-f", "ONNX", "--modelFile", "model.onnx", "--MNNModel", "model.mnn", "--bizCode", "x"]
    subprocess.run([sys.executable, "-c", CONVERT, *options], check=True, stdout=subprocess.DEVNULL)
    module = MNN.nn.load_module_from_file("model.mnn", ["numbers"], ["result"])
    (result,) = module.onForward([MNN.expr.const(numbers, [3], MNN.expr.NCHW, MNN.expr.float)])
    seen[operator] = float(MNN.expr.convert(result, MNN.expr.NCHW).read()[0])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    print(f"9 {operator} 3 is {session.run(None, {'numbers': numbers})[0][0]} in onnxruntime, {seen[operator]} in MNN")
sys.exit(seen != {"Div": 9.0, "Mul": 27.0})
PYTHON
