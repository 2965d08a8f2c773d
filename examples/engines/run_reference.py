"""A graph in the onnx package's own evaluator: run_reference.py GRAPH"""

import sys

import onnx
from feeds import answer
from onnx.reference import ReferenceEvaluator

evaluator = ReferenceEvaluator(onnx.load(sys.argv[1]))
answer(lambda batch: evaluator.run(["sentence_embedding"], batch)[0])
