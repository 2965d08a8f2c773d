#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI), CPU: ReduceSum over the first axis is many times slower for few rows than for one row more.
#
# Seen:    the sum over axis 0 of float32 [L, 64, 256]. With one thread 17 rows take an eighth of the time of 16; with
#          two threads 33 rows take a sixteenth of the time of 32. The slow way is taken up to 16 rows for each thread
#          of the session. So more data take less time, and the same data take longer with more threads.
#          Output: 1 threads, 16 rows: 276 us; 17 rows: 36 us
#                  2 threads, 32 rows: 954 us; 33 rows: 59 us
# Guessed: that a sum of one row more takes a little longer, and that two threads never take ten times as long as one.
# Matters: the mean of a text's token vectors is this sum. Graphs of this project fill a block of texts up to 17 rows, and
#          the Python runtime opens sessions with one thread.
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
from onnx import TensorProto, helper, numpy_helper

graph = helper.make_graph(
    [helper.make_node("ReduceSum", ["rows", "axes"], ["sum"], keepdims=0)],
    "sum",
    [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["L", "N", "D"])],
    [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", "D"])],
    [numpy_helper.from_array(np.array([0]), "axes")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()


def least_us(session, rows):
    feed = {"rows": np.ones((rows, 64, 256), np.float32)}
    times = []
    for _ in range(300):
        begin = time.perf_counter()
        session.run(None, feed)
        times.append(time.perf_counter() - begin)
    return min(times) * 1e6


ratios = []
for threads in (1, 2):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options)
    few, more = 16 * threads, 16 * threads + 1
    times = least_us(session, few), least_us(session, more)
    print(f"{threads} threads, {few} rows: {times[0]:.0f} us; {more} rows: {times[1]:.0f} us")
    ratios.append(times[0] / times[1])
# Seen: 8 and 16.
sys.exit(0 if min(ratios) > 2 else "changed: few rows are as fast as more")
PROGRAM
