"""The graphs of a bundle, each an arrangement of the same pooling."""

from collections.abc import Mapping

import numpy as np
import onnx

from m2v_export.embedding import Embedding
from m2v_export.graph import Graph, Value
from m2v_export.pooling import SHORT_TOKENS, Pooling, bag_sums, look_up
from m2v_export.text import TextTables, tokenize
from m2v_onnx.format import EMBEDDING, MEAN


def bag_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` int64 [T], ``offsets`` int64 [N] to ``sentence_embedding`` float32 [N, dim].

    Where the model normalizes there is ``mean_embedding`` too, the mean as it was before; where it has a head,
    ``probabilities`` or ``predictions`` float32 [N, outputs].
    """
    g = Graph()
    ids, offsets = g.input("input_ids", np.int64, ["T"]), g.input("offsets", np.int64, ["N"])
    _pool(g, embedding, ids, offsets)
    return g.model(metadata)


def text_graph(
    embedding: Embedding,
    tables: TextTables,
    *,
    max_length: int | None,
    median_token_length: int,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """``utf8`` uint8 [T], ``offsets`` int64 [N] to ``sentence_embedding`` float32 [N, dim], the tokenizer inside.

    On request ``input_ids`` int64 [T'] and ``token_offsets`` int64 [N], the tokens that were pooled, and
    ``mean_embedding`` as in ``bag_graph``.
    """
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, token_offsets = tokenize(
        g,
        utf8,
        offsets,
        tables,
        max_length=max_length,
        median_token_length=median_token_length,
        unk_token_id=embedding.unk_token_id,
    )
    _pool(g, embedding, ids, token_offsets)
    g.output(ids, "input_ids", ["tokens"])
    g.output(token_offsets, "token_offsets", ["N"])
    return g.model(metadata)


def _pool(g: Graph, embedding: Embedding, ids: Value, offsets: Value) -> None:
    """From tokens to the outputs: int64 [T], int64 [N] to float32 [N, dim]."""
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        mean = pooling.mean(*bag_sums(pooling, ids, offsets))
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
            values = head.on(vectors, pooling.stored)
        g.output(values, head.output, ["N", head.width(pooling.embedding.dim)])


def one_graph(embedding: Embedding, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """``input_ids`` int64 [T] of one text, without the unknown token, to ``sentence_embedding`` float32 [1, dim].

    For a query, where a kernel's start is all that takes time: three kernels, where the model normalizes and has
    neither mapping nor weights. Rows are added one after the other, at any length. The norm makes up for the mean.
    """
    g = Graph()
    ids = g.input("input_ids", np.int64, ["T"])
    pooling = Pooling(g, embedding)
    codes = pooling.codes(ids)
    if pooling.scales is not None and pooling.weights is not None:
        # No order of model2vec's to follow: a product, or several of a long text.
        factors = look_up(g, pooling.weights, ids).cast(np.float32).unsqueeze(0)

        def by_pieces(g: Graph) -> list[Value]:
            def one_piece(g: Graph, i: Value, sums: Value) -> tuple[None, list[Value], list[Value]]:
                begin = (i * SHORT_TOKENS).unsqueeze(0)
                end = begin + SHORT_TOKENS
                some = g.op("Slice", factors, begin, end, np.array([1]))
                return None, [sums + pooling.product(some, g.op("Slice", codes, begin, end).of_rank(2))], []

            zeros = g.constant(np.zeros((1, embedding.dim), np.float32))
            pieces = (ids.size() + (SHORT_TOKENS - 1)) // SHORT_TOKENS
            return g.loop([zeros], one_piece, trips=pieces.squeeze(0))

        # Not of nothing: onnxruntime 1.18 leaves such a product unset. The loop makes no trip then.
        short = g.op("Clip", ids.size(), np.array(1), np.array(SHORT_TOKENS)).equals(ids.size())
        (sums,) = g.if_(short, lambda g: [pooling.product(factors, codes)], by_pieces)
    else:
        rows = pooling.rows(codes)
        if pooling.weights is not None:
            rows = rows * look_up(g, pooling.weights, ids).cast(np.float32).unsqueeze(1)
        sums = g.op("ReduceSum", rows.cast(embedding.sum_dtype), np.array([0])).cast(np.float32)
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
    mask = g.input("attention_mask", np.int64, ["N", "L"]).cast(np.float32)
    with g.scope("pool"):
        pooling = Pooling(g, embedding)
        kept = pooling.kept(ids) * mask
        weights, codes = pooling.weigh(ids, kept), pooling.codes(ids)
        rows = pooling.rows(codes)

        def one_by_one(g: Graph) -> list[Value]:
            def one_piece(g: Graph, i: Value, sums: Value) -> tuple[None, list[Value], list[Value]]:
                begin = (i * pooling.piece_tokens).unsqueeze(0)
                end = begin + pooling.piece_tokens
                some_weights, some_codes = (g.op("Slice", of, begin, end, np.array([1])) for of in (weights, codes))
                return None, [pooling.add_up(some_weights, some_codes, sums)], []

            zeros = pooling.nothing(ids.size(), embedding.dim, pooling.sum_dtype)
            pieces = (width + (pooling.piece_tokens - 1)) // pooling.piece_tokens
            return [g.loop([zeros], one_piece, trips=pieces.squeeze(0))[0].cast(np.float32)]

        # Of nothing there is no product: onnxruntime 1.18 leaves it unset, 1.30 throws. The loop makes no trip then.
        # (A Min here made onnxruntime 1.18 hang in the second run of a shape.)
        width = ids.size(1) * (ids.size() > 0).cast(np.int64)
        nothing = width.equals(np.array([0])).cast(np.int64)
        longest = width + nothing * (SHORT_TOKENS + 1)
        (sums,) = pooling.by_length(longest, lambda g: [pooling.product(weights, codes)], one_by_one)
        counts = pooling.count(kept)
        mean = pooling.mean(sums, counts)
        scale = pooling.count(mask) / g.op("Max", counts, np.array(1, np.float32))
        hidden = rows * (weights * scale).unsqueeze(2)
        if pooling.scales is not None:
            hidden = hidden * pooling.scales
        vectors = pooling.normalize(mean) if embedding.normalize else mean
    g.output(vectors, EMBEDDING, ["N", embedding.dim])
    g.output(hidden, "last_hidden_state", ["N", "L", embedding.dim])
    _head(pooling, vectors)
    return g.model(metadata)
