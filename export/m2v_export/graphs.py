"""The graphs of a bundle, each an arrangement of the same pooling."""

from collections.abc import Mapping

import numpy as np
import onnx

from m2v_export.embedding import Embedding
from m2v_export.graph import Graph
from m2v_export.pooling import SHORT_TOKENS, Pooling, bag_sums
from m2v_onnx.format import EMBEDDING, MEAN


def bag_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` int64 [T], ``offsets`` int64 [N] to ``sentence_embedding`` float32 [N, dim].

    Where the model normalizes there is ``mean_embedding`` too, the mean as it was before.
    """
    g = Graph()
    ids, offsets = g.input("input_ids", np.int64, ["T"]), g.input("offsets", np.int64, ["N"])
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        mean = pooling.mean(*bag_sums(pooling, ids, offsets))
    shape: list[int | str] = ["N", embedding.dim]
    if embedding.normalize:
        g.output(pooling.normalize(mean), EMBEDDING, shape)
        g.output(mean, MEAN, shape)
    else:
        g.output(mean, EMBEDDING, shape)
    return g.model(metadata)


def padded_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` and ``attention_mask`` int64 [N, L] to ``sentence_embedding`` and ``last_hidden_state``.

    ``last_hidden_state`` float32 [N, L, dim] is made for those who pool it themselves, as transformers.js does: its
    mean over the attention mask is ``sentence_embedding`` before normalization. Unknown tokens are in that mask but
    not in the model's mean, so the other tokens are scaled up by the share of them.
    """
    g = Graph()
    ids = g.input("input_ids", np.int64, ["N", "L"])
    mask = g.input("attention_mask", np.int64, ["N", "L"]).cast(np.float32)
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        kept = pooling.kept(ids) * mask
        weights, rows = pooling.weigh(ids, kept), pooling.rows(ids)
        (sums,) = g.if_(
            (ids.size(1) <= SHORT_TOKENS).squeeze(0),
            lambda g: [pooling.product(weights, rows)],
            lambda g: [pooling.add_up(weights, rows).cast(np.float32)],
        )
        counts = pooling.count(kept)
        mean = pooling.mean(sums, counts)
        scale = pooling.count(mask) / g.op("Max", counts, np.array(1, np.float32))
        hidden = rows * (weights * scale).unsqueeze(2)
    g.output(pooling.normalize(mean) if embedding.normalize else mean, EMBEDDING, ["N", embedding.dim])
    g.output(hidden, "last_hidden_state", ["N", "L", embedding.dim])
    return g.model(metadata)
