"""The whole text graph: bytes to token ids by the tokenizer's kind, then pooling."""

from collections.abc import Mapping

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
