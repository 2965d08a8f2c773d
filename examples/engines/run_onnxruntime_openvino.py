"""A graph in onnxruntime with OpenVINO's provider: run_onnxruntime_openvino.py GRAPH [OUTPUT]"""

import os
import sys

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime
from feeds import OUTPUT, answer

session = onnxruntime.InferenceSession(sys.argv[1], providers=[("OpenVINOExecutionProvider", {"device_type": "CPU"})])
answer(lambda batch: session.run([OUTPUT], batch)[0])
