#!/usr/bin/env bash
# onnxruntime 1.27.0 and 1.32.0 (PyPI), CPU: ReduceSum of int64 rounds as float64 does, even a sum of one number.
#
# Seen:    the sum of the one number 2**53 + 1 is 2**53. 1.26.0 gives 2**53 + 1, and so does CumSum in all of them. From
#          1.27.0 on integers are added up in float64; what is above the largest int64 or int32 becomes the largest,
#          where numpy, CumSum and 1.26.0 wrap around. Pull request 28743 of onnxruntime speaks of this second part.
#          Output: 1.26.0 ReduceSum: right for 1 number, right for 2, int32 wraps; CumSum right
#                  1.32.0 ReduceSum: -1 for 1 number, -1 for 2, int32 stays at the largest; CumSum right
# Guessed: that integers are added exactly, as every other operator on int64 is exact; and that the sum over an axis of
#          length one changes nothing.
# Matters: a graph that packs several fields into an int64, hashes say, and takes one of many by the sum of a row in which
#          all others are 0, gives wrong look-ups in a newer onnxruntime, with the same file and without an error.
#          text.onnx has int64 keys of up to 63 bits, which it never adds up by ReduceSum.
set -euo pipefail

PYTHON=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
cat > "$scratch/program.py" << 'PROGRAM'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

DTYPES = {np.int32: TensorProto.INT32, np.int64: TensorProto.INT64}


def run(operator, numbers, dtype):
    """:return: what the operator gives for a vector, its last number where it gives several."""
    axis = np.array([0]) if operator == "ReduceSum" else np.array(0)
    graph = helper.make_graph(
        [helper.make_node(operator, ["numbers", "axis"], ["sums"])],
        "sum",
        [helper.make_tensor_value_info("numbers", DTYPES[dtype], ["N"])],
        [helper.make_tensor_value_info("sums", DTYPES[dtype], ["S"])],
        [numpy_helper.from_array(axis, "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return int(session.run(None, {"numbers": np.array(numbers, dtype)})[0][-1])


def off(operator, *numbers):
    by = run(operator, numbers, np.int64) - sum(numbers)
    return f"{by:+d}" if by else "right"


big, largest = 2**53 + 1, 2**31 - 1
above = run("ReduceSum", [largest, 1], np.int32)
int32 = {largest: "stays at the largest", -(2**31): "wraps"}.get(above, str(above))
sums = f"{off('ReduceSum', big)} for 1 number, {off('ReduceSum', big, 2)} for 2, int32 {int32}"
line = f"ReduceSum: {sums}; CumSum {off('CumSum', big, 2)}"
print(onnxruntime.__version__, line)
wanted = {
    "exact": "ReduceSum: right for 1 number, right for 2, int32 wraps; CumSum right",
    "rounded": "ReduceSum: -1 for 1 number, -1 for 2, int32 stays at the largest; CumSum right",
}
sys.exit(0 if line == wanted[sys.argv[1]] else f"changed: {onnxruntime.__version__} is not {sys.argv[1]}")
PROGRAM
for each in 1.26.0:exact 1.27.0:rounded 1.32.0:rounded; do
  "$scratch/venv/bin/pip" install --quiet "onnxruntime==${each%:*}" onnx==1.19.1 numpy==2.4.6
  "$scratch/venv/bin/python" "$scratch/program.py" "${each#*:}"
done
