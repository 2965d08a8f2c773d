#!/usr/bin/env bash
# onnx2tf 2.6.9 (PyPI, Python 3.12): converting a graph changes the .onnx file that it is given.
#
# Seen:    `onnx2tf -i model.onnx -o out -onimc OUTPUT` writes model.onnx anew, cut to that output. A table that was in a
#          file beside it is inside afterwards.
# Guessed: that a converter reads its input and writes its output.
# Matters: to convert a bundle's plain.onnx in its place would change the bundle, whose sha256 then no longer holds.
#          examples/engines/run_litert.py gives onnx2tf a copy.
set -euo pipefail

PYTHON=${PYTHON:-python3.12}
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2> /dev/null; then
  echo "$PYTHON is not Python 3.12 or newer: nothing was run"
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet onnx2tf==2.6.9
cd "$scratch"
"$scratch/venv/bin/python" - << 'PY'
import onnx
from onnx import TensorProto, helper

values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y", "z")]
nodes = [helper.make_node("Add", ["x", "x"], ["y"], name="add"), helper.make_node("Mul", ["y", "y"], ["z"], name="mul")]
graph = helper.make_graph(nodes, "two_outputs", values[:1], values[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), "model.onnx")
PY
before=$(sha256sum < model.onnx)
"$scratch/venv/bin/onnx2tf" --non_verbose -i model.onnx -o out -kat x -onimc y > log 2>&1 || { tail -3 log; exit 2; }
if [ "$before" = "$(sha256sum < model.onnx)" ]; then
  echo "changed: model.onnx is as it was"
  exit 1
fi
