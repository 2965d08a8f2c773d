#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator's GatherElements works along at most 63 entries.
#
# Seen:    data of 63 entries along the axis are gathered rightly. From 64 on, the same model raises: "index 8 is out of
#          bounds for axis 0 with size 4" for two dimensions along axis 0, "cannot reshape array" along axis 1, and
#          "Need at least 0 and at most 64 array objects" for one dimension, though every index is valid. The cause is
#          numpy.choose, which takes 63 arrays at most, and a second way that takes one entry of each row.
# Guessed: that an evaluator which is slow and simple has no limit on sizes; and from the messages, that the indices were
#          wrong.
# Matters: toy inputs pass and real ones do not, so the reference looks like a check that it is not. Our conformance run
#          with the reference uses a graph without GatherElements.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet onnx==1.23.2 numpy==2.4.6
"$scratch/venv/bin/python" - << 'PYTHON'
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def outcome(shape, axis):
    """Each entry along the axis by its own index, in reverse."""
    names = [f"d{i}" for i in range(len(shape))]
    graph = helper.make_graph(
        [helper.make_node("GatherElements", ["data", "indices"], ["output"], axis=axis)],
        "gather",
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, names),
            helper.make_tensor_value_info("indices", TensorProto.INT64, names),
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, names)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    indices = np.flip(np.indices(shape)[axis], axis).astype(np.int64)
    try:
        (found,) = ReferenceEvaluator(model).run(None, {"data": data, "indices": indices})
    except (IndexError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "right" if np.array_equal(found, np.flip(data, axis)) else "wrong"


as_described = True
for length in (63, 64, 200):
    for shape, axis in (((length,), 0), ((length, 4), 0), ((4, length), 1)):
        seen = outcome(shape, axis)
        print(f"{length:3} along axis {axis} of {shape}: {seen}")
        as_described &= (seen == "right") == (length == 63)
sys.exit(not as_described)
PYTHON
