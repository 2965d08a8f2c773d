"""A graph in OpenVINO: run_openvino.py GRAPH [OUTPUT]"""

import sys

import openvino
from feeds import OUTPUT, answer

core = openvino.Core()
model = core.read_model(sys.argv[1])  # finds model.onnx_data beside it
compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
output = compiled.output(OUTPUT)
answer(lambda batch: compiled(batch)[output])
