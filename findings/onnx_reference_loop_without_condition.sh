#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator runs no round of a Loop that has a count and no condition.
#
# Seen:    the operator's text says that the input `cond` may be left out; a Loop with only a count is then a for-loop.
#          onnx.checker takes the model, onnxruntime 1.32.0 runs five rounds, and onnx.reference runs none: it returns the
#          first value, 0 instead of 5, with no error and no warning. With a constant True as `cond` it runs five.
# Guessed: that the evaluator which defines an operator follows the operator's text, or says what it cannot do.
# Matters: whoever checks a graph with a Loop against the reference takes a right engine for a wrong one. Our graphs
#          always write the condition.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def value(name, type):
    return helper.make_tensor_value_info(name, type, [])


def rounds_of(condition):
    """A Loop that adds 1 to `start`, `count` times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["next"]), helper.make_node("Add", ["sum", "one"], ["more"])],
        "body",
        [value("round", TensorProto.INT64), value("go_on", TensorProto.BOOL), value("sum", TensorProto.INT64)],
        [value("next", TensorProto.BOOL), value("more", TensorProto.INT64)],
        [numpy_helper.from_array(np.int64(1), "one")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["count", condition, "start"], ["end"], body=body)],
        "rounds",
        [value("count", TensorProto.INT64), value("start", TensorProto.INT64)],
        [value("end", TensorProto.INT64)],
        [numpy_helper.from_array(np.bool_(True), condition)] if condition else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    feeds = {"count": np.array(5), "start": np.array(0)}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return int(session.run(None, feeds)[0]), int(ReferenceEvaluator(model).run(None, feeds)[0])


without, given = rounds_of(""), rounds_of("true")
print(f"no condition: onnxruntime {without[0]} rounds, the reference {without[1]}")
print(f"a true one:   onnxruntime {given[0]} rounds, the reference {given[1]}")
sys.exit((without, given) != ((5, 0), (5, 5)))
PYTHON
