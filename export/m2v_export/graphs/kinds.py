"""The graphs of a bundle, each an arrangement of the same pooling."""

from collections.abc import Mapping

import numpy as np
import onnx

from m2v_export.graphs.arrays import look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.graphs.head import head_values
from m2v_export.graphs.pooling import SHORT_TOKENS, Pooling, bag_mean, line_sums
from m2v_export.source.embedding import Embedding
from m2v_onnx.models.format import EMBEDDING, HIDDEN, MEAN, PLAIN_IR_VERSION, PLAIN_OPSET


def bag_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` int64 [T], ``offsets`` int64 [N] to ``sentence_embedding`` float32 [N, dim].

    Where the model normalizes there is ``mean_embedding`` too, the mean as it was before; where it has a head,
    ``probabilities`` or ``predictions`` float32 [N, outputs].
    """
    g = Graph()
    ids, offsets = g.input("input_ids", np.int64, ["T"]), g.input("offsets", np.int64, ["N"])
    pool(g, embedding, ids, offsets, embedding.unk_token_id)
    return g.model(metadata)


def pool(
    g: Graph,
    embedding: Embedding,
    ids: Value,
    offsets: Value,
    unk_token_id: int | None = None,
    most_tokens: int | None = None,
) -> None:
    """From tokens to the outputs: int64 [T], int64 [N] to float32 [N, dim].

    :param unk_token_id: a token among them that does not count; None for none.
    :param most_tokens: what no text has more of; None for no limit.
    """
    with g.scope("pool"):
        pooling = Pooling(g, embedding, most_tokens)
        mean = bag_mean(pooling, ids, offsets, unk_token_id)
        vectors = pooling.normalize(mean) if embedding.normalize else mean
    shape: list[int | str] = ["N", embedding.dim]
    g.output(vectors, EMBEDDING, shape)
    if embedding.normalize:
        g.output(mean, MEAN, shape)
    _head(pooling, vectors)


def _head(pooling: Pooling, vectors: Value) -> None:
    """A classifier's or regressor's output. :param vectors: float32 [N, dim], what ``encode`` gives."""
    g, head = pooling.g, pooling.embedding.head
    if head is not None:
        with g.scope("head"):
            values = head_values(head, vectors, pooling.stored)
        g.output(values, head.output, ["N", head.width(pooling.embedding.dim)])


def one_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` int64 [T] of one text, without the unknown token, to ``sentence_embedding`` float32 [1, dim].

    For a query, where a kernel's start is all that takes time: three kernels, where the model normalizes and has
    neither mapping nor weights. Rows are added one after the other, at any length. Those of a table with scales of ours
    are added by one product, nine kernels in int8. The norm makes up for the mean, and is within 5e-7 of the exact one:
    nearer would take four kernels more.
    """
    g = Graph()
    ids = g.input("input_ids", np.int64, ["T"])
    pooling = Pooling(g, embedding)
    if pooling.by_products and embedding.scales is not None:
        sums = pooling.parts_product(ids)
    elif pooling.by_products:
        factors, codes = look_up(g, pooling.stored["weights"], ids).cast(np.float32).unsqueeze(0), pooling.codes(ids)

        def several(g: Graph) -> list[Value]:
            padded_ids = g.concat([ids, np.array([embedding.padding_id])])
            longest = g.op("Max", ids.size(), np.array([1]))
            return [line_sums(pooling, padded_ids, g.constant(np.array([0])), ids.size(), longest)]

        # Not of nothing: onnxruntime 1.18 leaves such a product unset.
        short = g.op("Clip", ids.size(), np.array(1), np.array(SHORT_TOKENS)).equals(ids.size())
        (sums,) = g.if_(short, lambda g: [pooling.weighted(factors, codes)], several)
    else:
        sums = pooling.in_order(ids).cast(np.float32)
    if embedding.normalize:
        scaled = sums if pooling.scales is None else sums * pooling.scales
        vector = g.op("LpNormalization", scaled, axis=1, p=2)
    else:
        vector = pooling.mean(sums, ids.size().cast(np.float32))
    g.output(vector, EMBEDDING, [1, embedding.dim])
    return g.model(metadata)


def padded_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` and ``attention_mask`` int64 [N, L] to ``sentence_embedding`` and ``last_hidden_state``.

    ``last_hidden_state`` float32 [N, L, dim] is made for those who pool it themselves, as transformers.js does: its
    mean over the attention mask is ``sentence_embedding`` before normalization. Unknown tokens are in that mask but
    not in the model's mean, so the other tokens are scaled up by the share of them.
    """
    g = Graph()
    ids = g.input("input_ids", np.int64, ["N", "L"])
    mask = g.input("attention_mask", np.int64, ["N", "L"])
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        ids = g.op("Where", mask > 0, ids, np.array(pooling.padding_id))
        counts = pooling.count((~ids.equals(pooling.padding_id)).cast(np.float32))
        width = ids.size(1)
        texts = g.op("Range", np.array(0), ids.size().squeeze(0), np.array(1))
        padded_ids = g.concat([ids.reshape(-1), np.array([pooling.padding_id])])
        lengths = g.op("Expand", width, ids.size()).of_rank(1)
        longest = g.op("Max", width, np.array([pooling.fewest_rows]))
        mean = pooling.mean(line_sums(pooling, padded_ids, texts * width, lengths, longest), counts)
        scale = pooling.count(mask.cast(np.float32)) / g.op("Max", counts, np.array(1, np.float32))
        hidden, factors = pooling.rows(pooling.codes(ids)), pooling.factors(ids)
        hidden = hidden * (scale if factors is None else factors * scale).unsqueeze(2)
    return _padded_outputs(pooling, mean, hidden, metadata)


def plain_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """As ``padded_graph``, for engines other than onnxruntime.

    It has the oldest operators that serve, no branches, no loops, and no size that inference cannot see. It needs
    memory for the padded block, N x L x dim x 4 bytes, several times, and in onnxruntime it is slower for many texts.
    """
    g = Graph(opset=PLAIN_OPSET, ir_version=PLAIN_IR_VERSION)
    ids = g.input("input_ids", np.int64, ["N", "L"])
    mask = g.input("attention_mask", np.int64, ["N", "L"])
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        # By arithmetic: onnx2tf takes a Where whose sizes it does not know for one of equal sizes.
        is_token = (mask > 0).cast(np.int64)
        ids = (ids - pooling.padding_id) * is_token + pooling.padding_id
        counts = pooling.count((~ids.equals(pooling.padding_id)).cast(np.float32))
        sums, rows = pooling.block_sums(ids)
        mean = pooling.mean(sums, counts)
        scale = pooling.count(mask.cast(np.float32)) / g.op("Max", counts, np.array(1, np.float32))
        hidden = rows * scale.unsqueeze(2)
    return _padded_outputs(pooling, mean, hidden, metadata)


def _padded_outputs(pooling: Pooling, mean: Value, hidden: Value, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """The outputs of a graph of ids and a mask.

    :param mean: float32 [N, dim], not normalized.
    :param hidden: float32 [N, L, dim], the tokens' rows, in units of the table's scales where it has some.
    """
    g, embedding = pooling.g, pooling.embedding
    with g.scope("pool"):
        if pooling.scales is not None:
            hidden = hidden * pooling.scales
        vectors = pooling.normalize(mean) if embedding.normalize else mean
    g.output(vectors, EMBEDDING, ["N", embedding.dim])
    g.output(hidden, HIDDEN, ["N", "L", embedding.dim])
    _head(pooling, vectors)
    return g.model(metadata)
