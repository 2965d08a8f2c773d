"""The mean of each text's rows: the arithmetic that all graphs share.

A text is a run of token ids. They are laid into a grid, a line a text; rows are gathered from the table and summed with
the tokens' weights, where padding and the unknown token weigh nothing.

How they are summed matters: model2vec adds a text's rows one after the other in float32, and what that rounds away
grows with the text, to 3e-6 for 512 tokens. So lines of many tokens are summed in the same order, by CumSum, and come
out the same to the last bit; short ones by one matrix product, faster and never more than 3e-7 away.

A batch too big for one grid goes in blocks of lines of similar length, and a very long line in pieces. Memory follows
the tokens, never the longest text times the number of texts.
"""

import numpy as np
import numpy.typing as npt

from m2v_export.embedding import INT4_OFFSET, Embedding
from m2v_export.graph import Branch, Graph, Value
from m2v_onnx.format import NORM_EPSILON

GRID_BYTES = 4 << 20
"""Gathered rows worked on at once, in bytes of float32: a larger grid falls out of a core's own cache."""

CACHED_BYTES = 512 << 10
"""Gathered rows of one product, in bytes of float32: from 1 MB on they leave the core's cache before they are summed,
which takes 1.5 times as long with 256 dimensions and 1.25 times with 64."""

SHORT_TOKENS = 96
"""Longest line for the matrix product: beyond, its difference to model2vec's order of adding could pass 1e-6."""

PRODUCT_DIM = 16
"""Fewest dimensions for the matrix product: in fewer, rows happen to cancel out nearly, and dividing by so small a norm
makes 4e-5 of a last bit (seen with 2 dimensions)."""

PIECE_TOKENS = 512
"""Longest piece of a line that is summed at once."""

HIGH = 16
"""What a byte's high code counts."""


class Pooling:
    """An embedding's constants in one graph, and the steps of the mean over them."""

    def __init__(self, g: Graph, embedding: Embedding) -> None:
        self.g = g
        self.embedding = embedding
        self.stored = {name: g.initializer(tensor) for name, tensor in embedding.initializers().items()}
        self.table = self.stored["table"]
        self.mapping, self.weights = self.stored.get("mapping"), self.stored.get("weights")
        self.pad_id = -1 if embedding.unk_token_id is None else embedding.unk_token_id
        self.scales = embedding.scales
        # Pieces of a long line are few: float32 will do, and onnxruntime-web's WebGPU bundle has no float64.
        self.sum_dtype = np.dtype(np.float32) if self._by_pieces else embedding.sum_dtype
        if embedding.packed and embedding.scales is not None:
            low = np.arange(embedding.dim) < embedding.table.shape[1]
            self.scales = np.where(low, embedding.scales, embedding.scales / HIGH).astype(np.float32)
            self.offsets = np.where(low, INT4_OFFSET, INT4_OFFSET * HIGH).astype(np.float32)

    def codes(self, ids: Value) -> Value:
        """Gather first, widen after: only the rows at hand leave the table's precision.

        :param ids: int64, any shape.
        :return: the table's dtype [*ids.shape, the table's width].
        """
        indices = ids if self.mapping is None else look_up(self.g, self.mapping, ids)
        return self.g.op("Gather", self.table, indices)

    def rows(self, codes: Value) -> Value:
        """:param codes: as ``codes`` gives them. :return: float32 [..., dim], before weights and scales."""
        if not self.embedding.packed:
            return codes.cast(np.float32)
        return self._side_by_side(*self._low_and_both(codes)) - self.offsets

    def _low_and_both(self, codes: Value, dtype: npt.DTypeLike = np.float32) -> tuple[Value, Value]:
        """Two codes a byte: the low ones, and the bytes, low + 16 * high; ``dtype``, the codes' shape."""
        low = self.g.op("BitwiseAnd", codes, np.array(HIGH - 1, np.uint8))
        return low.cast(dtype), codes.cast(dtype)

    def _side_by_side(self, low: Value, both: Value) -> Value:
        """The low and the high codes, these times 16; a difference gives them, for onnxruntime's BitShift takes as
        long as all the rest of the pooling.

        :return: float32 [..., dim].
        """
        rows = self.g.concat([low, both - low], axis=-1)
        return rows if self.embedding.dim % 2 == 0 else rows.slice(0, self.embedding.dim, axis=-1)

    def kept(self, ids: Value) -> Value:
        """:return: float32, ids' shape: 1 for a token, 0 for the unknown one and for padding."""
        return (~ids.equals(self.pad_id)).cast(np.float32)

    def weigh(self, ids: Value, kept: Value) -> Value:
        """:return: float32, ids' shape: the tokens' weights, 0 where not kept."""
        return kept if self.weights is None else look_up(self.g, self.weights, ids).cast(np.float32) * kept

    def by_length(self, longest: Value, product: Branch, one_by_one: Branch) -> list[Value]:
        """Choose how to sum.

        :param longest: int64 [1], tokens of the longest line.
        """
        if self.embedding.dim < PRODUCT_DIM:
            return list(one_by_one(self.g))
        return self.g.if_(longest <= SHORT_TOKENS, product, one_by_one)

    def product(self, weights: Value, codes: Value) -> Value:
        """Sum weighted rows by a matrix product, for short lines.

        Two codes a byte are summed as they are, the low ones and both together; what the high ones come to and the
        codes' offset is left to the sums, a row a text.

        :param weights: float32 [N, L], or float64 for a sum in that.
        :param codes: as ``codes`` gives them: [N, L, width], or [L, width] for one text.
        :return: the weights' dtype [N, dim].
        """

        def times(rows: Value) -> Value:
            if rows.rank == 2:
                return self.g.op("MatMul", weights, rows)
            return self.g.op("MatMul", weights.unsqueeze(1), rows).squeeze(1)

        if not self.embedding.packed:
            return times(codes.cast(weights.dtype))
        low, both = self._low_and_both(codes, weights.dtype)
        sums = self._side_by_side(times(low), times(both))
        return sums - self.count(weights) * self.offsets.astype(weights.dtype)

    @property
    def piece_tokens(self) -> int:
        """Tokens of a long line that ``add_up`` takes at once."""
        return SHORT_TOKENS if self._by_pieces else PIECE_TOKENS

    @property
    def _by_pieces(self) -> bool:
        """Whether long lines are summed by products too: scales of our own leave no rounding of model2vec's to
        follow."""
        return self.scales is not None and self.embedding.dim >= PRODUCT_DIM

    def add_up(self, weights: Value, codes: Value, sums: Value) -> Value:
        """Add weighted rows to sums.

        Those of model2vec's own tables one after the other, in the type that it adds in.

        :param weights: float32 [N, L]. :param codes: as ``codes`` gives them, [N, L, width].
        :param sums: ``sum_dtype`` [N, dim], what to go on from. :return: [N, dim].
        """
        if self._by_pieces:
            return sums + self.product(weights, codes)
        terms = (self.rows(codes) * weights.unsqueeze(2)).cast(self.sum_dtype)
        terms = self.g.concat([sums.unsqueeze(1), terms], axis=1)
        return self.g.op("CumSum", terms, np.array(1)).slice(-1, END, axis=1).squeeze(1)

    def nothing(self, lines: Value, width: int, dtype: npt.DTypeLike) -> Value:
        """:param lines: int64 [1], N. :return: zeros [N, width], to add to."""
        shape = self.g.concat([lines, np.array([width])])
        return self.g.op("Expand", np.zeros((1, width), dtype), shape).of_rank(2)

    def count(self, kept: Value) -> Value:
        """:param kept: float32 [N, L]. :return: float32 [N, 1]."""
        return self.g.op("ReduceSum", kept, np.array([1]))

    def mean(self, sums: Value, counts: Value) -> Value:
        """:return: float32 [N, dim]: zeros, not NaN, for a text without tokens."""
        mean = sums / self.g.op("Max", counts, np.array(1, np.float32))
        return mean if self.scales is None else mean * self.scales

    def normalize(self, mean: Value) -> Value:
        """Divide by the L2 norm, in float32 as model2vec does.

        Not by ReduceL2: onnxruntime adds up its squares one by one, three times further from the exact norm.
        """
        norm = self.g.op("Sqrt", self.g.op("ReduceSum", mean * mean, np.array([1])))
        return mean / (norm + NORM_EPSILON)


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
    padded_ids = g.concat([ids, np.array([pooling.pad_id])])

    def several(g: Graph) -> list[Value]:
        return list(_texts_sums(pooling, padded_ids, offsets))

    if pooling.embedding.dim < PRODUCT_DIM:
        sums, counts = several(g)
    else:
        # A query: half the kernels, and there a kernel's start is all that takes time.
        one_short = offsets.size().equals(np.array([1])) & (ids.size() <= SHORT_TOKENS)
        sums, counts = g.if_(one_short, lambda g: list(_text_sums(pooling, padded_ids)), several)
    return sums, counts


def _text_sums(pooling: Pooling, padded_ids: Value) -> tuple[Value, Value]:
    """As ``bag_sums``, for one short text.

    :param padded_ids: int64 [T + 1], the last one padding, so that there is always one.
    """
    kept = pooling.kept(padded_ids)
    line, codes = kept.unsqueeze(0), pooling.codes(padded_ids)
    weights = line if pooling.weights is None else pooling.weigh(padded_ids, kept).unsqueeze(0)
    return pooling.product(weights, codes), pooling.count(line)


def _texts_sums(pooling: Pooling, padded_ids: Value, offsets: Value) -> tuple[Value, Value]:
    """As ``bag_sums``, for any number of texts of any length.

    :param padded_ids: int64 [T + 1], the last one padding.
    """
    g = pooling.g
    lengths = g.concat([offsets.slice(1, END), padded_ids.size() - 1]) - offsets
    lengths = g.op("Slice", lengths, np.array([0]), offsets.size())  # no text has no length, though there is an end
    longest = g.op("ReduceMax", g.concat([lengths, np.array([1])]))
    grid_tokens = GRID_BYTES // (4 * pooling.embedding.dim)

    def at_once(g: Graph) -> list[Value]:
        return list(_line_sums(pooling, padded_ids, offsets, lengths, longest))

    def in_blocks(g: Graph) -> list[Value]:
        return list(_block_sums(pooling, padded_ids, offsets, lengths, grid_tokens))

    sums, counts = g.if_(longest * offsets.size() <= grid_tokens, at_once, in_blocks)
    return sums, counts


def _line_sums(
    pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value
) -> tuple[Value, Value]:
    """Sum lines that fit one grid, or are too long for any.

    :param starts: int64 [N]. :param lengths: int64 [N]. :param longest: int64 [1].
    :return: float32 [N, dim], float32 [N, 1].
    """
    dim, sum_dtype = pooling.embedding.dim, pooling.sum_dtype

    def by_product(g: Graph) -> list[Value]:
        grid = grid_of(g, padded_ids, starts, lengths, longest)
        kept = pooling.kept(grid)
        return [_products(pooling, grid, pooling.weigh(grid, kept), longest), pooling.count(kept)]

    def one_by_one(g: Graph) -> list[Value]:
        def one_piece(g: Graph, i: Value, sums: Value, counts: Value) -> tuple[None, list[Value], list[Value]]:
            done = (i * pooling.piece_tokens).unsqueeze(0)
            width = g.op("Min", longest - done, np.array([pooling.piece_tokens]))
            grid = grid_of(g, padded_ids, starts + done, lengths - done, width)
            kept = pooling.kept(grid)
            sums = pooling.add_up(pooling.weigh(grid, kept), pooling.codes(grid), sums)
            return None, [sums, counts + pooling.count(kept)], []

        zeros = [pooling.nothing(starts.size(), *of) for of in ((dim, sum_dtype), (1, np.float32))]
        pieces = (longest + (pooling.piece_tokens - 1)) // pooling.piece_tokens
        sums, counts = g.loop(zeros, one_piece, trips=pieces.squeeze(0))
        return [sums.cast(np.float32), counts]

    sums, counts = pooling.by_length(longest, by_product, one_by_one)
    return sums, counts


def _products(pooling: Pooling, grid: Value, weights: Value, longest: Value) -> Value:
    """Sum weighted rows by products, as many lines at once as stay in a core's cache.

    :param grid: int64 [N, L]. :param weights: float32 [N, L]. :param longest: int64 [1], L.
    :return: float32 [N, dim].
    """
    g, dim = pooling.g, pooling.embedding.dim
    lines = g.op("Max", CACHED_BYTES // (4 * dim) // longest, np.array([1]))
    blocks = (grid.size() + lines - 1) // lines

    def at_once(g: Graph) -> list[Value]:
        return [pooling.product(weights, pooling.codes(grid))]

    def by_blocks(g: Graph) -> list[Value]:
        missing = g.concat([np.array([0, 0]), blocks * lines - grid.size(), np.array([0])])
        ids = g.op("Pad", grid, missing).reshape(-1, lines, longest)
        factors = g.op("Pad", weights, missing).reshape(-1, lines, longest)

        def one_block(g: Graph, i: Value) -> tuple[None, list[Value], list[Value]]:
            codes = pooling.codes(g.op("Gather", ids, i).of_rank(2)).of_rank(3)
            return None, [], [pooling.product(g.op("Gather", factors, i).of_rank(2), codes).of_rank(2)]

        (stacked,) = g.loop([], one_block, trips=blocks.squeeze(0))
        return [g.op("Slice", stacked.reshape(-1, dim), np.array([0]), grid.size())]

    # No lines are no blocks: onnxruntime 1.30 has no product of them.
    return g.if_(blocks.equals(np.array([1])), at_once, by_blocks)[0]


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
