"""A head in a graph: a few layers on each text's vector."""

from collections.abc import Mapping

import numpy as np

from m2v_export.graphs.builder import Value
from m2v_export.source.head import Head


def head_values(head: Head, vectors: Value, stored: Mapping[str, Value]) -> Value:
    """:param vectors: float32 [N, dim]. :param stored: ``Head.tensors`` in the graph. :return: float32 [N, outputs]."""
    values = vectors
    for i, bias in enumerate(head.biases):
        values = values.graph.op("Relu", values) if i else values.cast(bias.dtype)
        values = values.graph.op("MatMul", values, stored[f"head.{i}.weight"]) + stored[f"head.{i}.bias"]
    operators = {"softmax": "Softmax", "sigmoid": "Sigmoid"}
    if head.activation in operators:
        values = values.graph.op(operators[head.activation], values)
    return values.cast(np.float32)
