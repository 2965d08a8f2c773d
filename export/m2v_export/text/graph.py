"""The whole text graph: bytes to token ids by the tokenizer's kind, then pooling."""

from collections.abc import Iterator, Mapping

import numpy as np
import onnx

from m2v_export.graphs.builder import Graph
from m2v_export.graphs.kinds import pool
from m2v_export.source.embedding import Embedding
from m2v_export.source.outside import Stored
from m2v_export.text.kinds import BuildIds
from m2v_export.text.limits import Limits


def text_graph(
    embedding: Embedding, build_ids: BuildIds, *, limits: Limits, metadata: Mapping[str, str]
) -> tuple[onnx.ModelProto, dict[str, Stored]]:
    """``utf8`` uint8 [T], ``offsets`` int64 [N] to ``sentence_embedding`` float32 [N, dim], the tokenizer inside.

    On request ``input_ids`` int64 [T'] and ``token_offsets`` int64 [N], the tokens that were pooled, and
    ``mean_embedding`` as in ``bag_graph``.

    :return: the graph, and all that it has outside: the embedding's tensors, and large tables of its own behind them.
    """
    outside = embedding.outside()
    g = Graph(outside)
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, token_offsets = build_ids(g, utf8, offsets, limits)
    pool(g, embedding, ids, token_offsets, most_tokens=limits.tokens)
    g.output(ids, "input_ids", ["tokens"])
    g.output(token_offsets, "token_offsets", ["N"])
    return g.model(metadata), outside.tensors


def without_vectors(model: onnx.ModelProto) -> onnx.ModelProto:
    """:param model: see ``text_graph``.
    :return: the same nodes, as far as ``input_ids`` and ``token_offsets`` need them.
    """
    ids = onnx.ModelProto()
    ids.CopyFrom(model)
    graph = ids.graph
    needed = {"input_ids", "token_offsets"}
    nodes = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            needed.update(_inputs(node))
            nodes.append(node)
    for part, kept in (
        (graph.node, nodes[::-1]),
        (graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in needed]),
        (graph.output, [output for output in model.graph.output if output.name in needed]),
    ):
        del part[:]
        part.extend(kept)
    return ids


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Its own, and those of the nodes in its bodies."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _inputs(inner)
        yield from (output.name for output in attribute.g.output)
