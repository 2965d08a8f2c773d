#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU: what a graph computes in float64 is computed in float32, also where float64 comes out.
#
# Seen:    1e8 + 1 - 1e8, summed over a float64 input by ReduceSum, is 0 in a float64 output. No warning; with and without
#          the hint f32. onnxruntime gives 1.
# Guessed: that an engine computes in the type of the tensors, or refuses a type that it has no kernels for.
# Matters: plain.onnx added the rows of small int8 tables in float64, and its vectors were 2.9e-6 off there. It adds them
#          in two float32 parts now.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import numpy as np
import onnxruntime
import openvino
from onnx import parser

GRAPH = """
<ir_version: 8, opset_import: ["": 18]>
g (double[N] numbers) => (double[1] total) <int64[1] first = {0}> { total = ReduceSum (numbers, first) }
"""
numbers = np.array([1e8, 1, -1e8])
data = parser.parse_model(GRAPH).SerializeToString()
session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
core = openvino.Core()
compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
right, seen = session.run(None, {"numbers": numbers})[0], compiled({"numbers": numbers})[0]
print(f"1e8 + 1 - 1e8 is {right} in onnxruntime and {seen}, of {seen.dtype}, in OpenVINO")
sys.exit(not (right[0] == 1 and seen[0] == 0 and seen.dtype == np.float64))
PYTHON
