"""What a graph needs of a model: the table in its precision, and how token ids become rows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_export.source.chunks import Array
from m2v_export.source.head import Head
from m2v_export.source.outside import Outside, Stored
from m2v_onnx.lazy import lazy_property
from m2v_onnx.vectors.session import normalized

FLOAT32 = np.dtype(np.float32)
TABLE_DTYPES = ("float32", "float16", "int8")
"""Of sources; ours may be int4 too, two values a byte."""

PART_BITS = 4
"""Bits of a weight's first part: times codes of 8 bits, thousands of them add up in float32 without rounding."""

INT4_OFFSET = 7.5
"""The 16 codes of int4, 0 to 15, stand for -7.5 to 7.5: a level more than with a code for zero."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """A table and the steps from token ids to rows.

    A value is a code of the table, times its token's weight, times its dimension's scale. Rows that are stored with a
    scale of their own have it in the weights, where it costs nothing.

    :ivar table: float32, float16 or int8 [rows, dim], or int4 as uint8 [rows, ceil(dim / 2)]: the first half of a
        row's codes are in the low four bits, the second half in the high ones.
    :ivar mapping: int64 [tokens], token id to row; None where the id is the row.
    :ivar weights: float32 or float16 [tokens], a factor a token; None where all are 1.
    :ivar unk_token_id: the token that is dropped before the mean; None where there is none.
    :ivar normalize: whether the mean is divided by its L2 norm.
    :ivar sum_dtype: float32, or float64 where model2vec adds in that, for its weights are, and for our own scales.
    :ivar scales: float32 [dim], a factor a dimension; None where all are 1.
    :ivar head: what makes probabilities or predictions of the vector; None for a model that has none.
    """

    table: npt.NDArray[Any]
    mapping: npt.NDArray[np.int64] | None
    weights: npt.NDArray[np.float32 | np.float16] | None
    unk_token_id: int | None
    normalize: bool
    sum_dtype: np.dtype[Any] = FLOAT32
    scales: npt.NDArray[np.float32] | None = None
    head: Head | None = None

    @property
    def dim(self) -> int:
        return int(self.table.shape[1]) if self.scales is None else len(self.scales)

    @property
    def packed(self) -> bool:
        """Whether two codes share a byte."""
        return self.table.dtype == np.uint8

    @property
    def precision(self) -> str:
        return "int4" if self.packed else self.table.dtype.name

    @property
    def tokens(self) -> int:
        """The number of token ids that have a row."""
        return len(self.table) if self.mapping is None else len(self.mapping)

    @property
    def padding_id(self) -> int:
        """The token id that adds nothing to a sum, for what is stored has a row of zeros for it: the unknown token,
        which is never summed, or where there is none one past the last."""
        return self.tokens if self.unk_token_id is None else self.unk_token_id

    @lazy_property
    def tensors(self) -> dict[str, Stored]:
        """What is stored outside the graphs, once for all of them, by initializer name."""
        nothing = np.zeros((1, self.table.shape[1]), self.table.dtype)
        # In place of the unknown token's row, which is nobody else's where there is no mapping; else behind the last.
        row = self.padding_id if self.mapping is None else len(self.table)
        tensors = {"table": Stored((self.table[:row], nothing, self.table[row + 1 :]))}
        if self.weights is not None:
            tensors["weights"] = Stored((self._for_padding(self.weights, 0),))
        if self.mapping is not None:
            tensors["mapping"] = Stored((self._for_padding(self.mapping, len(self.table)).astype(np.int32),))
        if self.head is not None:
            tensors |= {name: Stored((array,)) for name, array in self.head.tensors().items()}
        return tensors

    def _for_padding(self, of_tokens: Array, value: int) -> Array:
        """:param of_tokens: [tokens]. :return: the same with that value at ``padding_id``."""
        return np.concatenate([of_tokens[: self.padding_id], [value], of_tokens[self.padding_id + 1 :]]).astype(
            of_tokens.dtype
        )

    @property
    def weight_parts(self) -> Array:
        """Each weight cut into its ``PART_BITS`` highest bits and the rest.

        Sums of codes times the first part have no rounding, but where weights differ much. Sums of codes times the
        second are too small for theirs to count. So float32 products of any length come as near as is asked.

        :return: the weights' dtype [tokens or one more, 2]; each row adds up to the weight exactly, ``padding_id``'s
            to 0.
        """
        assert self.weights is not None
        weights = self._for_padding(self.weights, 0)
        digits, exponents = np.frexp(weights)
        first = np.ldexp(np.rint(np.ldexp(digits, PART_BITS)), exponents - PART_BITS).astype(weights.dtype)
        return np.stack([first, weights - first], axis=1)

    def outside(self) -> Outside:
        """The stored tensors, in the order that they have in the file."""
        outside = Outside()
        for name, tensor in self.tensors.items():
            outside.add(name, tensor)
        return outside


def reference_vectors(embedding: Embedding, ids: list[list[int]]) -> npt.NDArray[np.float32]:
    """The arithmetic, slow and plain: what every graph is held against.

    Rows are added one after the other in ``sum_dtype``, as numpy does it for model2vec.

    :param ids: token ids of each text, the unknown one left out.
    :return: float32 [N, dim].
    """
    vectors = np.zeros((len(ids), embedding.dim), np.float32)
    for vector, text in zip(vectors, ids, strict=True):
        if text:
            values = codes_of(embedding, text if embedding.mapping is None else embedding.mapping[text])
            if embedding.weights is not None:
                values *= embedding.weights[text][:, None]
            mean = np.cumsum(values, axis=0, dtype=embedding.sum_dtype)[-1] / embedding.sum_dtype.type(len(text))
            vector[:] = mean if embedding.scales is None else mean * embedding.scales
    return normalized(vectors) if embedding.normalize else vectors


def codes_of(embedding: Embedding, rows: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The values of some rows before weights and scales.

    :param rows: integers [L].
    :return: ``sum_dtype`` [L, dim].
    """
    codes = embedding.table[rows]
    if not embedding.packed:
        return codes.astype(embedding.sum_dtype)
    both = np.concatenate([codes & 15, codes >> 4], axis=1)[:, : embedding.dim]
    return both.astype(embedding.sum_dtype) - INT4_OFFSET
