"""A graph in the onnx package's own evaluator: run_reference.py GRAPH [OUTPUT]"""

import sys

import onnx
from feeds import OUTPUT, answer
from onnx.reference import ReferenceEvaluator

evaluator = ReferenceEvaluator(onnx.load(sys.argv[1]))
answer(lambda batch: evaluator.run([OUTPUT], batch)[0])
