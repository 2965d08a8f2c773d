"""Measurements; each file says how it is run."""

import os

# From 1.29 on, onnxruntime writes to ~/.cache/Microsoft and looks up a telemetry host, unless this is set before its
# first import. Processes that benchmarks start inherit it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
