"""A graph in tinygrad: run_tinygrad.py GRAPH [OUTPUT]"""

import os
import shutil
import sys
import tempfile

import numpy as np
from feeds import OUTPUT, answer, with_its_table

if not shutil.which("clang"):
    os.environ.setdefault("DEV", "PYTHON")  # its other devices need a compiler or a GPU

from tinygrad import Tensor
from tinygrad.nn.onnx import OnnxRunner

with tempfile.TemporaryDirectory() as folder:
    graph = with_its_table(sys.argv[1], folder)  # tinygrad looks for no other file

    def embed(batch: dict[str, np.ndarray]) -> np.ndarray:
        run = OnnxRunner(graph)  # a new one, for it keeps the sizes of its first batch
        return run({k: Tensor(v) for k, v in batch.items()})[OUTPUT].numpy()

    answer(embed)
