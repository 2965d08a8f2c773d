#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU: LpNormalization adds 1.19e-7, float32's epsilon, to the sum of squares.
#
# Seen:    with p = 2, a row of norm 1e-2 comes out with norm 0.9994, one of 1e-3 with 0.945, one of 1e-4 with 0.28. No
#          warning, and the hint f32 changes nothing. onnxruntime gives norm 1 for all.
# Guessed: that a row is divided by its norm, as the operator's text says, and at most the row of zeros is an exception.
# Matters: one.onnx normalizes sums of rows by it. Vocabulary-quantized models weigh frequent words by 1e-3 and less, and
#          a text of one such word is wrong there. The file for OpenVINO is plain.onnx, which divides by a written-out norm.
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
g (float[N, 4] rows) => (float[N, 4] of_norm_1) { of_norm_1 = LpNormalization <axis: int = 1, p: int = 2> (rows) }
"""
norms = np.array([1, 1e-2, 1e-3, 1e-4], np.float32)
rows = norms[:, None] * np.array([[0.6, 0.8, 0, 0]], np.float32)
data = parser.parse_model(GRAPH).SerializeToString()
session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
core = openvino.Core()
compiled = core.compile_model(core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
right = np.linalg.norm(session.run(None, {"rows": rows})[0], axis=1)
seen = np.linalg.norm(compiled({"rows": rows})[0], axis=1)
print(f"norms {norms}: {right} in onnxruntime, {seen} in OpenVINO")
expected = norms / np.sqrt(norms**2 + np.finfo(np.float32).eps)
sys.exit(not (np.abs(right - 1).max() < 1e-5 and np.abs(seen - expected).max() < 1e-3))
PYTHON
