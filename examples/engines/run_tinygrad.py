"""A graph in tinygrad: run_tinygrad.py GRAPH"""

import sys
import tempfile
from pathlib import Path

import onnx
from feeds import answer
from tinygrad import Tensor
from tinygrad.nn.onnx import OnnxRunner

with tempfile.TemporaryDirectory() as folder:
    one_file = Path(folder) / "model.onnx"
    onnx.save(onnx.load(sys.argv[1]), one_file)  # its table inside: tinygrad looks for no other file
    run = OnnxRunner(one_file)
answer(lambda batch: run({k: Tensor(v) for k, v in batch.items()})["sentence_embedding"].numpy())
