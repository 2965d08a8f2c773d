#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI), CPU: Gather from a vector takes eight times as long as GatherElements, which does the same.
#
# Seen:    20,000 int32 of a vector of 100,000, one thread: Gather 158 us, GatherElements 19 us. The results are equal.
#          Pull request 11349 of onnxruntime made GatherElements copy by element sizes known at compile time, and left
#          Gather as it was.
#          Output: Gather: 158 us; GatherElements: 19 us
# Guessed: that the common and simple operator is the fast one. GatherElements is the general form, with an index for
#          each element of any shape; for a vector the two say the same, and numpy has one `take` for both.
# Matters: a tokenizer in a graph is mostly table look-ups. text.onnx has GatherElements for all of them. An optimizer or
#          converter that puts Gather in its place would make the file several times slower and change no result.
set -euo pipefail

PYTHON=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$PYTHON" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$scratch/venv/bin/python" - <<'PROGRAM'
import sys
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
feed = {
    "table": np.arange(100_000, dtype=np.int32) * 7,
    "places": np.random.default_rng(0).integers(0, 100_000, 20_000),
}
times, results = {}, []
for operator in ("Gather", "GatherElements"):
    graph = helper.make_graph(
        [helper.make_node(operator, ["table", "places"], ["found"], axis=0)],
        "look-up",
        [
            helper.make_tensor_value_info("table", TensorProto.INT32, ["V"]),
            helper.make_tensor_value_info("places", TensorProto.INT64, ["P"]),
        ],
        [helper.make_tensor_value_info("found", TensorProto.INT32, ["P"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    results.append(session.run(None, feed)[0])
    runs = []
    for _ in range(300):
        begin = time.perf_counter()
        session.run(None, feed)
        runs.append(time.perf_counter() - begin)
    times[operator] = min(runs) * 1e6
print("; ".join(f"{operator}: {us:.0f} us" for operator, us in times.items()))
assert np.array_equal(*results)
# Seen: 8.
sys.exit(0 if times["Gather"] > 2 * times["GatherElements"] else "changed: Gather is as fast")
PROGRAM
