"""The mean of each text's rows: the arithmetic that all graphs share.

A text is a run of token ids. They are laid into a grid, a line a text; rows are gathered from the table and summed with
the tokens' weights, where padding and the unknown token weigh nothing.

How they are summed matters: model2vec adds a text's rows one after the other in float32, and what that rounds away
grows with the text, to 3e-6 for 512 tokens. So lines of many tokens are summed in the same order, by CumSum, and come
out the same to the last bit; short ones by one matrix product, faster and never more than 6e-7 away.

A batch too big for one grid goes in blocks of lines of similar length, and a very long line in pieces. Memory follows
the tokens, never the longest text times the number of texts.
"""

import numpy as np

from m2v_export.embedding import Embedding
from m2v_export.graph import Graph, Value
from m2v_onnx.format import NORM_EPSILON

GRID_BYTES = 4 << 20
"""Gathered rows worked on at once, in bytes of float32: a larger grid falls out of a core's own cache."""

SHORT_TOKENS = 96
"""Longest line for the matrix product: beyond, its difference to model2vec's order of adding could pass 1e-6."""

PIECE_TOKENS = 512
"""Longest piece of a line that is summed at once."""


class Pooling:
    """An embedding's constants in one graph, and the steps of the mean over them."""

    def __init__(self, g: Graph, embedding: Embedding) -> None:
        self.g = g
        self.embedding = embedding
        self.table = g.initializer(embedding.initializers()["table"])
        self.mapping = None if embedding.mapping is None else g.constant(embedding.mapping, "mapping")
        self.weights = None if embedding.weights is None else g.constant(embedding.weights, "weights")
        self.pad_id = -1 if embedding.unk_token_id is None else embedding.unk_token_id

    def rows(self, ids: Value) -> Value:
        """:param ids: int64, any shape. :return: float32 [*ids.shape, dim]."""
        indices = ids if self.mapping is None else look_up(self.g, self.mapping, ids)
        return self.g.op("Gather", self.table, indices).cast(np.float32)

    def kept(self, ids: Value) -> Value:
        """:return: float32, ids' shape: 1 for a token, 0 for the unknown one and for padding."""
        return (~ids.equals(self.pad_id)).cast(np.float32)

    def weigh(self, ids: Value, kept: Value) -> Value:
        """:return: float32, ids' shape: the tokens' weights, 0 where not kept."""
        return kept if self.weights is None else look_up(self.g, self.weights, ids) * kept

    def product(self, weights: Value, rows: Value) -> Value:
        """Sum weighted rows by a matrix product, for short lines.

        :param weights: float32 [N, L]. :param rows: float32 [N, L, dim]. :return: float32 [N, dim].
        """
        return self.g.op("MatMul", weights.unsqueeze(1), rows).squeeze(1)

    def add_up(self, weights: Value, rows: Value, sums: Value | None = None) -> Value:
        """Add weighted rows one after the other, in the type that model2vec adds in.

        :param weights: float32 [N, L]. :param rows: float32 [N, L, dim].
        :param sums: [N, dim], what to go on from. :return: [N, dim].
        """
        terms = (rows * weights.unsqueeze(2)).cast(self.embedding.sum_dtype)
        if sums is not None:
            terms = self.g.concat([sums.unsqueeze(1), terms], axis=1)
        return self.g.op("CumSum", terms, np.array(1)).slice(-1, END, axis=1).squeeze(1)

    def count(self, kept: Value) -> Value:
        """:param kept: float32 [N, L]. :return: float32 [N, 1]."""
        return self.g.op("ReduceSum", kept, np.array([1]))

    def mean(self, sums: Value, counts: Value) -> Value:
        """:return: float32 [N, dim]: zeros, not NaN, for a text without tokens."""
        return sums / self.g.op("Max", counts, np.array(1, np.float32))

    def normalize(self, mean: Value) -> Value:
        """Divide by the L2 norm, in float32 as model2vec does."""
        return mean / (self.g.op("ReduceL2", mean, np.array([1])) + NORM_EPSILON)


def look_up(g: Graph, values: Value, indices: Value) -> Value:
    """``values[indices]`` of a vector; GatherElements copies scalars several times faster than Gather.

    :param indices: int64, any shape.
    :return: values' dtype, indices' shape.
    """
    if indices.rank == 1:
        return g.op("GatherElements", values, indices)
    return g.op("GatherElements", values, indices.reshape(-1)).reshape_like(indices)


def bag_sums(pooling: Pooling, ids: Value, offsets: Value) -> tuple[Value, Value]:
    """Sum each text's rows.

    :param ids: int64 [T].
    :param offsets: int64 [N], where each text starts; the first is 0.
    :return: float32 [N, dim], float32 [N, 1]: sums and numbers of tokens.
    """
    g = pooling.g
    lengths = g.concat([offsets.slice(1, END), ids.size()]) - offsets
    lengths = g.op("Slice", lengths, np.array([0]), offsets.size())  # no text has no length, though there is an end
    longest = g.op("ReduceMax", g.concat([lengths, np.array([1])]))
    padded_ids = g.concat([ids, np.array([pooling.pad_id])])
    grid_tokens = GRID_BYTES // (4 * pooling.embedding.dim)

    def at_once(g: Graph) -> list[Value]:
        return list(_line_sums(pooling, padded_ids, offsets, lengths, longest))

    def in_blocks(g: Graph) -> list[Value]:
        return list(_block_sums(pooling, padded_ids, offsets, lengths, grid_tokens))

    fits = longest * offsets.size() <= grid_tokens
    sums, counts = g.if_(fits.squeeze(0), at_once, in_blocks)
    return sums, counts


def _line_sums(
    pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value
) -> tuple[Value, Value]:
    """Sum lines that fit one grid, or are too long for any.

    :param starts: int64 [N]. :param lengths: int64 [N]. :param longest: int64 [1].
    :return: float32 [N, dim], float32 [N, 1].
    """
    dim, sum_dtype = pooling.embedding.dim, pooling.embedding.sum_dtype

    def by_product(g: Graph) -> list[Value]:
        grid = grid_of(g, padded_ids, starts, lengths, longest)
        kept = pooling.kept(grid)
        return [pooling.product(pooling.weigh(grid, kept), pooling.rows(grid)), pooling.count(kept)]

    def one_by_one(g: Graph) -> list[Value]:
        def one_piece(g: Graph, i: Value, sums: Value, counts: Value) -> tuple[None, list[Value], list[Value]]:
            done = (i * PIECE_TOKENS).unsqueeze(0)
            width = g.op("Min", longest - done, np.array([PIECE_TOKENS]))
            grid = grid_of(g, padded_ids, starts + done, lengths - done, width)
            kept = pooling.kept(grid)
            sums = pooling.add_up(pooling.weigh(grid, kept), pooling.rows(grid), sums)
            return None, [sums, counts + pooling.count(kept)], []

        zeros = [
            g.op("Expand", np.zeros((1, width), dtype), g.concat([starts.size(), np.array([width])])).of_rank(2)
            for width, dtype in ((dim, sum_dtype), (1, np.float32))
        ]
        pieces = (longest + (PIECE_TOKENS - 1)) // PIECE_TOKENS
        sums, counts = g.loop(zeros, one_piece, trips=pieces.squeeze(0))
        return [sums.cast(np.float32), counts]

    g = pooling.g
    sums, counts = g.if_((longest <= SHORT_TOKENS).squeeze(0), by_product, one_by_one)
    return sums, counts


def _block_sums(
    pooling: Pooling, padded_ids: Value, offsets: Value, lengths: Value, grid_tokens: int
) -> tuple[Value, Value]:
    """As ``bag_sums``: texts in order of their length, a block of lines at a time."""
    g = pooling.g
    texts = lengths.size()
    ascending, order = g.op_many("TopK", 2, lengths, texts, largest=0)
    longest = ascending.slice(-1, END)
    width = g.op("Min", longest, np.array([PIECE_TOKENS]))
    block = g.op("Max", grid_tokens // width, np.array([1]))
    blocks = (texts + block - 1) // block
    # Whole blocks: the first is filled up with empty lines.
    missing = blocks * block - texts
    before = g.concat([missing, np.array([0])])
    starts, sizes = (g.op("Pad", of, before) for of in (look_up(g, offsets, order), ascending))

    def one_block(g: Graph, i: Value) -> tuple[None, list[Value], list[Value]]:
        begin = i * block
        mine = [g.op("Slice", of, begin, begin + block).of_rank(1) for of in (starts, sizes)]
        widest = g.op("Max", mine[1].slice(-1, END), np.array([1]))
        return None, [], [g.concat(_line_sums(pooling, padded_ids, mine[0], mine[1], widest), axis=1)]

    dim = pooling.embedding.dim
    (stacked,) = g.loop([], one_block, trips=blocks.squeeze(0))
    totals = g.op("Slice", stacked.reshape(-1, dim + 1), missing, np.array([END]))
    # Back into the texts' own order: where each of them went.
    ranks = g.op("Range", np.array(0), texts.squeeze(0), np.array(1))
    totals = g.op("Gather", totals, g.op("ScatterElements", ranks, order, ranks))
    return totals.slice(0, dim, axis=1), totals.slice(dim, dim + 1, axis=1)


def grid_of(g: Graph, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """Lay runs of ids out as lines.

    :param padded_ids: int64 [T + 1], the last one padding.
    :param starts: int64 [N]. :param lengths: int64 [N]. :param longest: int64 [1], at least every length.
    :return: int64 [N, longest].
    """
    column = g.op("Range", np.array(0), longest.squeeze(0), np.array(1))
    padding = padded_ids.size() - 1
    slots = g.op("Where", column < lengths.unsqueeze(1), starts.unsqueeze(1) + column, padding)
    return look_up(g, padded_ids, slots)


END = 2**62
"""The end of a slice that goes to the end."""
