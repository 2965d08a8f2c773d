"""The mean of each text's rows: the arithmetic that all graphs share.

A text is a run of token ids. The texts of a batch are laid into grids, filled up with the id whose row is zeros; rows
are gathered from the table and summed.

How they are summed matters: model2vec adds a text's rows one after the other in float32, and what that rounds away
grows with the text, to 3e-6 for 512 tokens. Here they are added in the same order, down the columns of a grid, and the
sums are the same to the last bit. Where there is no such rounding to follow, for the table has scales of our own or
model2vec adds in float64, they are matrix products, in which a token's weight costs nothing.

A batch too big for one grid goes in blocks of texts of similar length, and a very long text in segments. Memory follows
the tokens, never the longest text times the number of texts.
"""

from math import ceil, log2

import numpy as np

from m2v_export.graphs.arrays import END, any_of, counted, lengths_of, look_up
from m2v_export.graphs.builder import Branch, Graph, Value
from m2v_export.source.embedding import INT4_OFFSET, Embedding
from m2v_onnx.models.format import NORM_EPSILON

GRID_BYTES = 4 << 20
"""Rows of one grid, in bytes of float32: what is filled up to the longest of its texts stays small."""

CACHED_BYTES = 512 << 10
"""Rows gathered at once, in bytes of float32. From 1 MB on they left one machine's core cache before they were summed,
which took 1.5 times as long; on another it made no difference."""

AT_ONCE_BYTES = 1280 << 10
"""Rows that are gathered at once all the same where that is all: another loop would take longer than it saves."""

FEWEST_ROWS = 17
"""Rows that are added one after the other, at least: onnxruntime adds up fewer, for each of its threads, in a way that
takes three to six times longer than to fill up with rows of zeros."""

SHORT_TOKENS = 96
"""Longest text for one matrix product, where all are: of more the rounding could come near 1e-6."""

PRODUCT_DIM = 16
"""Fewest dimensions for the matrix product: in fewer, rows happen to cancel out nearly, and dividing by so small a norm
makes 4e-5 of a last bit (seen with 2 dimensions)."""

SEGMENT_TOKENS = 512
"""Longest segment of a text that is summed at once."""

HIGH = 16
"""What a byte's high code counts."""

MOST_EXACT = 4096
"""Tokens of a text in a padded block whose high bits are added up without rounding."""

BITWISE_OPSET = 18
"""The first opset with BitwiseAnd."""


class Pooling:
    """An embedding's constants in one graph, and the steps of the mean over them."""

    def __init__(self, g: Graph, embedding: Embedding, most_tokens: int | None = None) -> None:
        """:param most_tokens: what no text has more of; None for no limit."""
        self.g = g
        self.embedding = embedding
        self.most_tokens = most_tokens
        self.stored = {name: g.initializer(tensor) for name, tensor in embedding.outside().protos.items()}
        self.table = self.stored["table"]
        self.mapping, self.weights = self.stored.get("mapping"), self.stored.get("weights")
        self.padding_id = embedding.padding_id
        self.scales = embedding.scales
        # Products of segments are exact enough in float32, and onnxruntime-web's WebGPU bundle has no float64.
        self.sum_dtype = np.dtype(np.float32) if self.by_products else embedding.sum_dtype
        self.cached_tokens, self.at_once_tokens = (of // (4 * embedding.dim) for of in (CACHED_BYTES, AT_ONCE_BYTES))
        if embedding.packed and embedding.scales is not None:
            low = np.arange(embedding.dim) < embedding.table.shape[1]
            self.scales = np.where(low, embedding.scales, embedding.scales / HIGH).astype(np.float32)
            self.offsets = np.where(low, INT4_OFFSET, INT4_OFFSET * HIGH).astype(np.float32)

    @property
    def by_products(self) -> bool:
        """Whether all texts are summed by products, long ones in segments."""
        return self.embedding.sum_dtype == np.float64 and self.embedding.dim >= PRODUCT_DIM

    @property
    def fewest_rows(self) -> int:
        """Rows of a grid, at least."""
        return 1 if self.by_products else FEWEST_ROWS

    @property
    def segment_tokens(self) -> int:
        """Longest text that is summed in one segment."""
        return SHORT_TOKENS if self.by_products else SEGMENT_TOKENS

    @property
    def has_segments(self) -> bool:
        """Whether a text may be longer than that."""
        return self.most_tokens is None or self.most_tokens > self.segment_tokens

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

    def _low_and_both(self, codes: Value) -> tuple[Value, Value]:
        """Two codes a byte: the low ones, and the bytes, low + 16 * high; float32, the codes' shape."""
        both = codes.cast(np.float32)
        if self.g.opset < BITWISE_OPSET:
            return both - self.g.op("Floor", both * (1 / HIGH)) * HIGH, both
        return self.g.op("BitwiseAnd", codes, np.array(HIGH - 1, np.uint8)).cast(np.float32), both

    def _side_by_side(self, low: Value, both: Value) -> Value:
        """The low and the high codes, these times 16; a difference gives them, for onnxruntime's BitShift takes as
        long as all the rest of the pooling.

        :return: float32 [..., dim].
        """
        rows = self.g.concat([low, both - low], axis=-1)
        return rows if self.embedding.dim % 2 == 0 else rows.slice(0, self.embedding.dim, axis=-1)

    def factors(self, ids: Value) -> Value | None:
        """:return: float32, ids' shape: the tokens' weights; None where all are 1."""
        return None if self.weights is None else look_up(self.g, self.weights, ids).cast(np.float32)

    def product(self, ids: Value) -> Value:
        """Sum weighted rows by a matrix product.

        :param ids: int64 [N, L], L > 0. :return: float32 [N, dim].
        """
        return self.weighted(self.lines_of_factors(ids), self.codes(ids)).squeeze(1)

    def lines_of_factors(self, ids: Value) -> Value:
        """:param ids: int64 [N, L]. :return: float32 [N, 1, L]: the tokens' weights, to be multiplied with rows."""
        factors = self.factors(ids)
        if factors is None:
            factors = self.g.op("Expand", np.ones((1, 1), np.float32), self.g.op("Shape", ids)).of_rank(2)
        return factors.unsqueeze(1)

    def weighted(self, factors: Value, codes: Value) -> Value:
        """As ``product``. Two codes a byte are summed as they are, the low ones and both together; what the high ones
        come to and the codes' offset is left to the sums, a row a text.

        :param factors: float32 [N, 1, L], or [1, L] for one text.
        :param codes: as ``codes`` gives them: [N, L, width], or [L, width] for one text.
        :return: float32 [N, 1, dim], or [1, dim] for one text.
        """

        def times(rows: Value) -> Value:
            return self.g.op("MatMul", factors, rows)

        if not self.embedding.packed:
            return times(codes.cast(np.float32))
        low, both = self._low_and_both(codes)
        sums = self._side_by_side(times(low), times(both))
        return sums - self.g.op("ReduceSum", factors, np.array([-1])) * self.offsets

    def parts_product(self, ids: Value) -> Value:
        """As ``product``, of one text of any length, without a branch for long ones: the weights are in two parts
        (``Embedding.weight_parts``), 4 or 8 bytes a token in the graph itself.

        :param ids: int64 [L]. :return: float32 [1, dim].
        """
        # Not of nothing: onnxruntime 1.18 has no such product.
        padded_ids = self.g.concat([ids, np.array([self.padding_id])])
        parts = self.g.op("Gather", self.g.constant(self.embedding.weight_parts, "weight_parts"), padded_ids)
        sums = self.g.op("Gemm", parts.cast(np.float32), self.rows(self.codes(padded_ids)), transA=1)
        return self.g.op("ReduceSum", sums, np.array([0]))

    def in_order(self, ids: Value, sums: Value | None = None) -> Value:
        """Add weighted rows one after the other, in the type that model2vec adds in.

        :param ids: int64 [L, N], the texts side by side; [L] for one.
        :param sums: ``sum_dtype`` [N, dim], what to go on from.
        :return: ``sum_dtype`` [N, dim].
        """
        rows, factors = self.rows(self.codes(ids)), self.factors(ids)
        if factors is not None:
            rows = rows * factors.unsqueeze(ids.rank)
        rows = rows.cast(self.sum_dtype)
        if sums is not None:
            rows = self.g.concat([sums.unsqueeze(0), rows], axis=0)
        # Along the first axis onnxruntime adds whole rows, the first to the second and so on.
        return self.g.op("ReduceSum", rows, np.array([0]), keepdims=int(ids.rank == 1))

    def block_sums(self, ids: Value) -> tuple[Value, Value]:
        """Sum weighted rows of a padded block, by operators that every engine has.

        :param ids: int64 [N, L], ``padding_id`` where a text has no token.
        :return: float32 [N, dim]; float32 [N, L, dim], the rows themselves.
        """

        def weighted_rows(ids: Value) -> Value:
            # By Gather, not by ``look_up``, which needs a newer Reshape.
            indices = ids if self.mapping is None else self.g.op("Gather", self.mapping, ids)
            rows = self.rows(self.g.op("Gather", self.table, indices))
            if self.weights is None:
                return rows
            return rows * self.g.op("Gather", self.weights, ids).cast(np.float32).unsqueeze(2)

        if self.embedding.sum_dtype == np.float64:
            # Without float64, for which OpenVINO, MNN and rten take float32. In two parts: the high bits of up to
            # MOST_EXACT tokens add up without rounding, in whatever order an engine adds, and the low bits are too
            # small for their rounding to count.
            rows = weighted_rows(ids)
            step = self._step
            high = self.g.op("Floor", rows * (1 / step)) * step
            sums = self.g.op("ReduceSum", high, np.array([1]), keepdims=0)
            return sums + self.g.op("ReduceSum", rows - high, np.array([1]), keepdims=0), rows
        # The ids, not the rows, are turned: onnxruntime would turn rows back, and add them in another order.
        rows = weighted_rows(self.g.op("Transpose", ids, perm=[1, 0]))
        sums = self.g.op("ReduceSum", rows, np.array([0]), keepdims=0)
        return sums, self.g.op("Transpose", rows, perm=[1, 0, 2])

    @property
    def _step(self) -> float:
        """The power of two whose multiples float32 adds up without rounding, ``MOST_EXACT`` rows of them."""
        table, weights = self.embedding.table, self.embedding.weights
        largest = float(max(table.max(initial=0), -float(table.min(initial=0))))
        if self.embedding.packed:
            largest = INT4_OFFSET * HIGH
        if weights is not None:
            largest *= float(np.abs(weights).max(initial=0))
        return 2.0 ** ceil(log2(max(largest, MOST_EXACT * float(np.finfo(np.float32).tiny)) * MOST_EXACT / 2**23))

    def count(self, kept: Value) -> Value:
        """:param kept: float32 [N, L]. :return: float32 [N, 1]."""
        return self.g.op("ReduceSum", kept, np.array([1]))

    def mean(self, sums: Value, counts: Value) -> Value:
        """:param sums: float32 [N, dim]. :param counts: float32 [N, 1], or [1] for one text.
        :return: float32 [N, dim]: zeros, not NaN, for a text without tokens.
        """
        mean = sums / self.g.op("Max", counts, np.array(1, np.float32))
        return mean if self.scales is None else mean * self.scales

    def normalize(self, mean: Value) -> Value:
        """Divide by the L2 norm, in float32 as model2vec does.

        Not by ReduceL2 or LpNormalization: onnxruntime adds up their squares one by one, three times further from the
        exact norm.
        """
        norm = self.g.op("Sqrt", self.g.op("ReduceSum", mean * mean, np.array([1])))
        return mean / (norm + NORM_EPSILON)


def bag_mean(pooling: Pooling, ids: Value, offsets: Value, unk_token_id: int | None) -> Value:
    """The mean of each text's rows.

    :param ids: int64 [T].
    :param offsets: int64 [N], where each text starts; the first is 0.
    :param unk_token_id: a token that does not count, whose row is zeros; None for none.
    :return: float32 [N, dim].
    """
    g = pooling.g

    def padded(g: Graph) -> Value:
        return g.concat([ids, np.array([pooling.padding_id])])

    def several(g: Graph) -> list[Value]:
        lengths = lengths_of(g, offsets, ids.size())
        counts = lengths if unk_token_id is None else lengths - _unknown(g, ids, offsets, unk_token_id)
        sums = _texts_sums(pooling, padded(g), offsets, lengths)
        return [pooling.mean(sums, counts.cast(np.float32).unsqueeze(1))]

    def one(g: Graph) -> list[Value]:
        """A query: half the kernels, and there a kernel's start is all that takes time."""
        if pooling.by_products:
            sums = pooling.product(padded(g).unsqueeze(0))
        else:
            sums = pooling.in_order(ids).cast(np.float32)
        count = ids.size()
        if unk_token_id is not None:
            count = count - g.op("ReduceSum", ids.equals(unk_token_id).cast(np.int64))
        return [pooling.mean(sums, count.cast(np.float32))]

    is_one = offsets.size().equals(np.array([1]))
    if pooling.has_segments:
        is_one = is_one & (ids.size() < pooling.segment_tokens)
    return g.if_(is_one, one, several)[0]


def _unknown(g: Graph, ids: Value, offsets: Value, unk_token_id: int) -> Value:
    """How often each text has a token; most batches do not have it at all.

    :param ids: int64 [T]. :param offsets: int64 [N]. :return: int64 [N].
    """
    is_it = ids.equals(unk_token_id)

    def count(g: Graph) -> list[Value]:
        # One more, for texts that begin where the ids end.
        before = counted(g, g.concat([is_it.cast(np.int64), np.array([0])]))
        return [lengths_of(g, look_up(g, before, offsets), before.slice(-1, END))]

    return g.if_(any_of(g, is_it), count, lambda g: [offsets * 0])[0]


def _texts_sums(pooling: Pooling, padded_ids: Value, offsets: Value, lengths: Value) -> Value:
    """The sums of any number of texts of any length.

    :param padded_ids: int64 [T + 1], the last one padding.
    :return: float32 [N, dim].
    """
    g = pooling.g
    longest = g.op("ReduceMax", g.concat([lengths, np.array([pooling.fewest_rows])]))
    grid_tokens = GRID_BYTES // (4 * pooling.embedding.dim)

    def large(g: Graph) -> list[Value]:
        return g.if_(
            longest * offsets.size() <= grid_tokens,
            lambda g: [_block_sums(pooling, padded_ids, offsets, lengths, longest)],
            lambda g: [_sorted_sums(pooling, padded_ids, offsets, lengths, longest, grid_tokens)],
        )

    return _small_or(pooling, padded_ids, offsets, lengths, longest, large)


def line_sums(pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """Sum texts that fit one grid, or are too long for any.

    :param starts: int64 [N]. :param lengths: int64 [N]. :param longest: int64 [1], at least ``fewest_rows`` and every
        length.
    :return: float32 [N, dim].
    """

    def large(g: Graph) -> list[Value]:
        return [_block_sums(pooling, padded_ids, starts, lengths, longest)]

    return _small_or(pooling, padded_ids, starts, lengths, longest, large)


def _small_or(
    pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value, otherwise: Branch
) -> Value:
    """As ``line_sums``, by one grid of all texts, where that is small."""
    g = pooling.g

    def small(g: Graph) -> list[Value]:
        grid = small_grid_of(g, padded_ids, starts, lengths, longest, pooling.segment_tokens)
        if pooling.by_products:
            return [pooling.product(g.op("Transpose", grid))]
        return [pooling.in_order(grid).cast(np.float32)]

    tokens = starts.size() * longest
    if pooling.by_products:
        # Not of no texts: onnxruntime 1.30 has no product of them.
        is_small = g.op("Clip", tokens, np.array(1), np.array(pooling.at_once_tokens)).equals(tokens)
    else:
        is_small = tokens <= pooling.at_once_tokens
    if pooling.has_segments:
        is_small = is_small & (longest <= pooling.segment_tokens)
    return g.if_(is_small, small, otherwise)[0]


def _block_sums(pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """As ``line_sums``, by grids of as many texts as stay in a core's cache."""
    lines = pooling, padded_ids, starts, lengths, longest
    if not pooling.has_segments:
        return _grids_sums(*lines)
    in_segments = _sums_of_products if pooling.by_products else _sums_of_segments
    return pooling.g.if_(
        longest <= pooling.segment_tokens, lambda g: [_grids_sums(*lines)], lambda g: [in_segments(*lines)]
    )[0]


def _evenly(texts: Value, most: Value) -> tuple[Value, Value]:
    """Spread texts over blocks, so that few are filled up with empty ones.

    :param texts: int64 [1]. :param most: int64 [1], of a block, at least 1.
    :return: int64 [1], int64 [1]: how many blocks, at least 1, and how many texts each has room for.
    """
    blocks = texts // most + 1
    return blocks, texts // blocks + 1


def _grids_sums(pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """As ``_block_sums``, for texts of up to one length."""
    g = pooling.g
    texts = starts.size()
    blocks, lines = _evenly(texts, g.op("Max", pooling.cached_tokens // longest, np.array([1])))
    # The last block is filled up with empty texts.
    missing = g.concat([np.array([0]), blocks * lines - texts])
    filled_starts, filled_lengths = (g.op("Pad", of, missing).of_rank(1) for of in (starts, lengths))
    grid = grid_of(g, padded_ids, filled_starts, filled_lengths, longest)
    factors = None
    if pooling.by_products:
        # Of all blocks at once: in the loop it would be six kernels more a block.
        factors = pooling.lines_of_factors(grid).reshape(-1, lines, 1, longest)
    grids = grid.reshape(-1, lines, longest)
    if factors is None:
        grids = g.op("Transpose", grids, perm=[0, 2, 1])

    def one_block(g: Graph, i: Value) -> tuple[None, list[Value], list[Value]]:
        ids = g.op("Gather", grids, i).of_rank(2)
        if factors is None:
            return None, [], [pooling.in_order(ids).cast(np.float32).of_rank(2)]
        return None, [], [pooling.weighted(g.op("Gather", factors, i).of_rank(3), pooling.codes(ids)).of_rank(3)]

    (stacked,) = g.loop([], one_block, trips=blocks.squeeze(0))
    return g.op("Slice", stacked.reshape(-1, pooling.embedding.dim), np.array([0]), texts)


def _sums_of_products(pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """As ``line_sums``, for long texts: each in segments of one length, that are texts of their own first."""
    g = pooling.g
    segments = (longest + (SHORT_TOKENS - 1)) // SHORT_TOKENS
    step = (longest + segments - 1) // segments
    before = g.op("Range", np.array(0), segments.squeeze(0), np.array(1)) * step
    segment_starts = (starts.unsqueeze(1) + before).reshape(-1)
    segment_lengths = (lengths.unsqueeze(1) - before).reshape(-1)  # of the last ones 0 and less
    sums = _grids_sums(pooling, padded_ids, segment_starts, segment_lengths, step)
    of_texts = sums.reshape(starts.size(), segments, pooling.embedding.dim)
    return g.op("ReduceSum", of_texts, np.array([1]), keepdims=0).of_rank(2)


def _sums_of_segments(pooling: Pooling, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """As ``line_sums``, for very long texts in order: a segment of each at a time, added to those before."""
    g = pooling.g

    def one_segment(g: Graph, i: Value, sums: Value) -> tuple[None, list[Value], list[Value]]:
        done = (i * SEGMENT_TOKENS).unsqueeze(0)
        width = g.op("Min", longest - done, np.array([SEGMENT_TOKENS]))
        grid = grid_of(g, padded_ids, starts + done, lengths - done, width)
        return None, [pooling.in_order(g.op("Transpose", grid), sums).of_rank(2)], []

    shape = g.concat([starts.size(), np.array([pooling.embedding.dim])])
    zeros = g.op("Expand", np.zeros((1, 1), pooling.sum_dtype), shape).of_rank(2)
    segments = (longest + (SEGMENT_TOKENS - 1)) // SEGMENT_TOKENS
    return g.loop([zeros], one_segment, trips=segments.squeeze(0))[0].cast(np.float32)


def _sorted_sums(
    pooling: Pooling, padded_ids: Value, offsets: Value, lengths: Value, longest: Value, grid_tokens: int
) -> Value:
    """As ``_texts_sums``: texts in order of their length, a grid of them at a time."""
    g = pooling.g
    texts = lengths.size()
    ascending, order = g.op_many("TopK", 2, lengths, texts, largest=0)
    width = g.op("Min", longest, np.array([SEGMENT_TOKENS]))
    blocks, block = _evenly(texts, g.op("Max", grid_tokens // width, np.array([1])))
    # Whole blocks: the first is filled up with empty texts.
    missing = blocks * block - texts
    before = g.concat([missing, np.array([0])])
    starts, sizes = (g.op("Pad", of, before) for of in (look_up(g, offsets, order), ascending))

    def one_block(g: Graph, i: Value) -> tuple[None, list[Value], list[Value]]:
        begin = i * block
        mine = [g.op("Slice", of, begin, begin + block).of_rank(1) for of in (starts, sizes)]
        widest = g.op("Max", mine[1].slice(-1, END), np.array([pooling.fewest_rows]))
        return None, [], [_block_sums(pooling, padded_ids, mine[0], mine[1], widest)]

    (stacked,) = g.loop([], one_block, trips=blocks.squeeze(0))
    sums = stacked.reshape(-1, pooling.embedding.dim)
    # Back into the texts' own order: where each of them went.
    ranks = g.op("Range", np.array(0), texts.squeeze(0), np.array(1))
    return g.op("Gather", sums, g.op("ScatterElements", ranks, order, ranks) + missing)


def grid_of(g: Graph, padded_ids: Value, starts: Value, lengths: Value, longest: Value) -> Value:
    """Lay runs of ids out as lines.

    :param padded_ids: int64 [T + 1], the last one padding.
    :param starts: int64 [N]. :param lengths: int64 [N]. :param longest: int64 [1], at least every length.
    :return: int64 [N, longest].
    """
    place = g.op("Range", np.array(0), longest.squeeze(0), np.array(1))
    return _laid_out(g, padded_ids, starts.unsqueeze(1), lengths.unsqueeze(1), place)


def small_grid_of(g: Graph, padded_ids: Value, starts: Value, lengths: Value, longest: Value, most: int) -> Value:
    """Lay runs of ids out side by side: three operations less, which take longer where there are many ids.

    :param most: of ``longest``. :return: int64 [longest, N].
    """
    place = g.op("Slice", np.arange(most)[:, None], np.array([0]), longest)
    return _laid_out(g, padded_ids, starts, lengths, place)


def _laid_out(g: Graph, padded_ids: Value, starts: Value, lengths: Value, place: Value) -> Value:
    return look_up(g, padded_ids, g.op("Where", place < lengths, starts + place, np.array(-1)))
