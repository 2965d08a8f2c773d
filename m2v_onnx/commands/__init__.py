"""The command ``m2v-onnx``: one file a command, each a thin layer over the Python API."""
