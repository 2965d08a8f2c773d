"""Smaller tables: float16, int8 with scales, int4 with scales.

A table in int8 or int4 has a scale a row and a scale a dimension. Dimensions are scaled first, by the largest value of
each among the rows at unit length, so that a row's few large dimensions do not coarsen all the others; then each row
by its own. Mean cosine of sentence vectors to float32's, over every 20th line of sentences_en.txt and every 22nd of
multilingual.txt in ../shared:

| | potion-base-2M | minilm-256 |
|---|---|---|
| int8, scales of rows | 0.99998 / 0.99999 | 0.99997 / 0.99997 |
| int8, rows and dimensions | 0.99999 / 0.99999 | 0.99998 / 0.99999 |
| int4, 15 levels, rows, least squares | 0.99561 / 0.99704 | 0.99193 / 0.99084 |
| int4, 16 levels, rows, least squares | 0.99611 / 0.99732 | 0.99279 / 0.99180 |
| int4, 16 levels, rows and dimensions, least squares | 0.99654 / 0.99750 | 0.99560 / 0.99716 |
| int4, 16 levels, blocks of 32 and dimensions | 0.99707 / 0.99789 | 0.99713 / 0.99812 |

Blocks would cost a product for each of them: they more than double the time of the pooling.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_export.source.chunks import Array, chunks
from m2v_export.source.embedding import Embedding
from m2v_onnx.errors import ExportError

Float64 = npt.NDArray[np.float64]

SCALE_EXPONENT = 13
"""The largest row's scale lies below 2 to that power: float16 then has all its digits for scales eight orders of
magnitude smaller, down to 2^-14."""

INT4_CLIPS = tuple(i / 20 for i in range(20, 10, -1))
"""How much of a row's largest value int4's outermost level stands for, tried one after the other: cutting a few large
values off makes all others finer. Of the rows of potion-base-2M and minilm-256 none gains from less than 0.6."""

WORK_BYTES = 1 << 20
"""Of the table worked on at once: in float64 and with all that is made of it, up to 60 times as much is in use."""

TINY = 1e-30
"""Instead of zero where it would be divided by."""


@dataclass(frozen=True)
class Scaled:
    """A way to store rows as small codes with a scale a row.

    :ivar dtype: of a code, as the table holds it.
    :ivar width: bytes of a row, from the number of dimensions.
    :ivar encode: scaled rows float64 [rows, dim] and the squared weight of each dimension's error float64 [dim] to
        (codes [rows, width], the rows' scales float64 [rows, 1]), the scales as ``round_scale`` gives them.
    """

    dtype: type[Any]
    width: Callable[[int], int]
    encode: "Callable[[Float64, Float64, Rounding], tuple[Array, Float64]]"


Rounding = Callable[[Float64], Float64]


def _int8(rows: Float64, importance: Float64, round_scale: Rounding) -> tuple[Array, Float64]:
    """Codes from -127 to 127; the largest value of a row is the largest code."""
    scales = round_scale(np.abs(rows).max(axis=1, keepdims=True) / 127)
    codes = np.rint(rows / np.maximum(scales, TINY))
    return np.clip(codes, -127, 127).astype(np.int8), scales


def _int4(rows: Float64, importance: Float64, round_scale: Rounding) -> tuple[Array, Float64]:
    """Codes from 0 to 15 for -7.5 to 7.5; of several cuts the one with the least squared error."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    best_codes = np.zeros(rows.shape, np.uint8)
    best_scales, least = np.zeros((len(rows), 1)), np.full((len(rows), 1), np.inf)
    for clip in INT4_CLIPS:
        levels = np.clip(np.floor(rows / np.maximum(largest * (clip / 8), TINY)), -8, 7) + 0.5
        weighted = levels * importance
        # The scale that fits these levels best, not the one that they were found with.
        scales = round_scale(
            (weighted * rows).sum(axis=1, keepdims=True) / (weighted * levels).sum(axis=1, keepdims=True)
        )
        error = ((rows - scales * levels) ** 2 * importance).sum(axis=1, keepdims=True)
        better = error < least
        best_codes = np.where(better, (levels + 7.5).astype(np.uint8), best_codes)
        best_scales, least = np.where(better, scales, best_scales), np.where(better, error, least)
    half = -(-rows.shape[1] // 2)
    low, high = best_codes[:, :half], best_codes[:, half:]
    if low.shape != high.shape:
        high = np.pad(high, ((0, 0), (0, 1)))
    return low | high << 4, best_scales


SCALED = {
    "int8": Scaled(np.int8, lambda dim: dim, _int8),
    "int4": Scaled(np.uint8, lambda dim: -(-dim // 2), _int4),
}

PRECISIONS = ("float32", "float16", "int8", "int4")
"""From the widest to the narrowest."""


def stored_as(embedding: Embedding, precision: str | None) -> Embedding:
    """The same embedding with its table in another precision.

    :param precision: one of ``PRECISIONS``; None or the table's own leave it as it is.
    :raises ExportError: for one that is wider than the table's, or does not hold its values.
    :raises ValueError: for one that does not exist.
    """
    if precision is None or precision == embedding.precision:
        return embedding
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    if PRECISIONS.index(precision) < PRECISIONS.index(embedding.precision):
        raise ExportError(
            f"precision {precision}: the source's table is {embedding.precision} already, a wider one would take more"
            " bytes and give the same vectors: leave the precision out"
        )
    if precision == "float16":
        return replace(embedding, table=_halves(embedding.table))
    return _scaled(embedding, SCALED[precision])


def _halves(table: Array) -> Array:
    """:raises ExportError: when a value is beyond float16."""
    halves = np.empty(table.shape, np.float16)
    largest = float(np.finfo(np.float16).max)
    done = 0
    for rows in chunks(table, WORK_BYTES):
        peak = float(np.abs(rows).max())
        if peak > largest:
            raise ExportError(f"precision float16: it ends at {largest:,.0f}, the table has {peak:,.0f}: take int8")
        halves[done : done + len(rows)] = rows
        done += len(rows)
    return halves


def _scaled(embedding: Embedding, way: Scaled) -> Embedding:
    table = embedding.table
    dimension_scales = _dimension_scales(table)
    rows, dim = table.shape
    codes, row_scales = np.empty((rows, way.width(dim)), way.dtype), np.empty((rows, 1))
    # A token's weight holds the row's scale; where there are none, the scale alone does, rounded before it is used.
    alone = embedding.mapping is None and embedding.weights is None
    done = 0
    for some in chunks(table, WORK_BYTES):
        part = slice(done, done + len(some))
        codes[part], row_scales[part] = way.encode(
            some / dimension_scales.astype(np.float64),
            dimension_scales.astype(np.float64) ** 2,
            _to_float16 if alone else _to_float32,
        )
        done += len(some)
    scales = row_scales[:, 0]
    weights: npt.NDArray[np.float32 | np.float16]
    if alone:
        weights = scales.astype(np.float16)
    else:
        of_tokens = scales if embedding.mapping is None else scales[embedding.mapping]
        weights = (of_tokens * (1 if embedding.weights is None else embedding.weights)).astype(np.float32)
    return replace(embedding, table=codes, weights=weights, scales=dimension_scales, sum_dtype=np.dtype(np.float64))


def _dimension_scales(table: Array) -> npt.NDArray[np.float32]:
    """The largest value of each dimension among the rows at unit length; all of them times a power of two that brings
    the rows' scales into float16's range.

    :return: float32 [dim].
    """
    peaks, longest = np.zeros(table.shape[1]), 0.0
    for rows in chunks(table, WORK_BYTES):
        norms = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        peaks = np.maximum(peaks, np.abs(rows / np.maximum(norms, TINY)).max(axis=0))
        longest = max(longest, float(norms.max()))
    # Of a row divided by these peaks no value exceeds its norm; a row's scale is a seventh of that, or less.
    fitting = 2.0 ** np.ceil(np.log2(max(longest, TINY)) - SCALE_EXPONENT)
    return np.where(peaks > 0, peaks * fitting, 1).astype(np.float32)


def _to_float16(scales: Float64) -> Float64:
    return scales.astype(np.float16).astype(np.float64)


def _to_float32(scales: Float64) -> Float64:
    return scales.astype(np.float32).astype(np.float64)
