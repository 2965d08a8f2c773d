#!/usr/bin/env bash
# One release of onnxruntime does not open a graph whose weights lie behind a symbolic link.
#
# Versions: onnxruntime 1.24.1, beside 1.24.2 and 1.23.2; onnx 1.20.0, numpy 2.3.5, Python 3.11.
# Seen: a folder as the Hugging Face Hub's cache lays it out: snapshots/main/model.onnx and model.onnx_data, both links
#   to ../../blobs/NAME. 1.24.1 refuses it, for the external data leaves the graph's folder; the others run it.
# Guessed: links are followed, as by every release before and after.
# Why: every model that is loaded from the Hub's cache is laid out so. pyproject.toml excludes 1.24.1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv make
make/bin/pip install --quiet onnx==1.20.0 numpy==2.3.5
mkdir -p blobs snapshots/main
make/bin/python - <<'PY'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

table = numpy_helper.from_array(np.ones((300, 8), np.float32), "table")
graph = helper.make_graph(
    [helper.make_node("Gather", ["table", "ids"], ["rows"])],
    "rows",
    [helper.make_tensor_value_info("ids", TensorProto.INT64, ["N"])],
    [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", 8])],
    [table],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
onnx.save(model, "blobs/graph", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
PY
mv blobs/model.onnx_data blobs/data
ln -s ../../blobs/graph snapshots/main/model.onnx
ln -s ../../blobs/data snapshots/main/model.onnx_data
changed=0
for version in 1.23.2 1.24.1 1.24.2; do
  python3 -m venv "v$version"
  "v$version/bin/pip" install --quiet "onnxruntime==$version" numpy==2.3.5
  said=$("v$version/bin/python" - <<'PY' 2>&1
import onnxruntime

try:
    session = onnxruntime.InferenceSession("snapshots/main/model.onnx", providers=["CPUExecutionProvider"])
    print("runs:", session.run(None, {"ids": [1, 2]})[0].shape)
except Exception as error:
    print("refused:", str(error).splitlines()[0][:160])
PY
)
  echo "onnxruntime $version: $said"
  case "$version $said" in
    "1.24.1 refused"*) ;;
    1.24.1*) changed=1 ;;
    *" runs"*) ;;
    *) changed=1 ;;
  esac
done
exit "$changed"
