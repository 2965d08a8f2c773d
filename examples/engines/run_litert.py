"""A graph in LiteRT, converted by onnx2tf: run_litert.py GRAPH [OUTPUT]"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from feeds import OUTPUT, answer, convert, with_its_table

with tempfile.TemporaryDirectory() as folder:
    graph = with_its_table(sys.argv[1], folder)  # a copy: onnx2tf writes into its input
    converter = [Path(sys.executable).with_name("onnx2tf"), "--non_verbose", "-i", graph, "-o", folder]
    # Inputs keep their shapes, and last_hidden_state is not wanted.
    convert([*converter, "-kat", "input_ids", "attention_mask", "-onimc", OUTPUT], folder)
    interpreter = Interpreter(str(graph.with_name(f"{graph.stem}_float32.tflite")))
inputs = {detail["name"]: detail["index"] for detail in interpreter.get_input_details()}
(output,) = interpreter.get_output_details()


def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
    for name, array in batch.items():
        interpreter.resize_tensor_input(inputs[name], array.shape)
    interpreter.allocate_tensors()
    for name, array in batch.items():
        interpreter.set_tensor(inputs[name], array)
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])


answer(embed)
