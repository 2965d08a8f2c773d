#!/usr/bin/env bash
# LiteRT 2.1.2 with onnx2tf 2.6.9 (PyPI, Python 3.12): the sum of no rows is what lay in memory.
#
# Seen:    a ReduceSum over the first axis, converted, gives for an input of [0, 2] the sums of the input before it, or
#          bytes of something else. There is no error.
# Guessed: zeros, as in onnxruntime, or an error.
# Matters: one.onnx of a float table gives a text without tokens the vector of the text before it. The file for LiteRT is
#          plain.onnx, whose block has at least one column.
set -euo pipefail

PYTHON=${PYTHON:-python3.12}
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2> /dev/null; then
  echo "$PYTHON is not Python 3.12 or newer: nothing was run"
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet onnx2tf==2.6.9 ai-edge-litert==2.1.2
cd "$scratch"
cat > make.py << 'PY'
import onnx
from onnx import parser

onnx.save(
    parser.parse_model("""
    <ir_version: 7, opset_import: ["": 13]>
    g (float[N, 2] rows) => (float[1, 2] total) <int64[1] first = {0}> { total = ReduceSum <keepdims: int = 1> (rows, first) }
    """),
    "sum.onnx",
)
PY
"$scratch/venv/bin/python" make.py
cp sum.onnx input.onnx # onnx2tf writes into its input
"$scratch/venv/bin/onnx2tf" --non_verbose -i input.onnx -o out -kat rows > log 2>&1 || { tail -3 log; exit 2; }
"$scratch/venv/bin/python" - << 'PY'
import sys

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("out/input_float32.tflite")
(source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
session = onnxruntime.InferenceSession("sum.onnx", providers=["CPUExecutionProvider"])
wrong = False
for rows in (np.full((3, 2), 5, np.float32), np.empty((0, 2), np.float32)):
    interpreter.resize_tensor_input(source["index"], rows.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], rows)
    interpreter.invoke()
    seen, right = interpreter.get_tensor(target["index"]), session.run(None, {"rows": rows})[0]
    print(f"the sum of {len(rows)} rows is {right} in onnxruntime and {seen} in LiteRT")
    wrong = not np.array_equal(seen, right)
sys.exit(not wrong)
PY
