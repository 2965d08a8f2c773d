"""Graphs of pooling, and the layer over ONNX that they are written in."""
