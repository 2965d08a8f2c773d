"""``Model2VecEmbeddingFunction``: the interface of the class of that name in pymilvus.model."""

from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import numpy.typing as npt

from m2v_onnx.model import LoadOptions, OnnxStaticModel
from m2v_onnx.models.locate import DEFAULT_MODEL
from m2v_onnx.vectors.dtypes import BitOrder, VectorType, as_type


class EmbeddingOptions(LoadOptions, total=False):
    """What may be said besides the model.

    :ivar dtype: of the vectors, one of those that Milvus stores: "float32" (the default), "float16", "bfloat16",
        "int8" or "binary"; ``m2v_onnx.vectors.dtypes`` says how they are made.
    :ivar bitorder: of binary vectors, "big" (the default), as Milvus has it, or "little", as sqlite-vec does.
    """

    dtype: VectorType
    bitorder: BitOrder


class Model2VecEmbeddingFunction:
    """An embedding function for Milvus; takes the place of ``pymilvus.model.dense.Model2VecEmbeddingFunction``.

        >>> from m2v_onnx import Model2VecEmbeddingFunction
        >>> ef = Model2VecEmbeddingFunction()
        >>> [vector.shape for vector in ef.encode_documents(["Cats purr.", "Dogs bark."])]
        [(256,), (256,)]

    :ivar model_source: as it was given.
    :ivar model: the ``OnnxStaticModel`` behind it.
    :ivar dtype: of the vectors.
    :ivar bitorder: of binary vectors.
    """

    def __init__(self, model_source: str | Path = DEFAULT_MODEL, **kwargs: Unpack[EmbeddingOptions]) -> None:
        """Open a model.

        :param model_source: what ``OnnxStaticModel.from_pretrained`` takes.
        :param kwargs: its options, ``dtype`` and ``bitorder``.
        :raises ValueError: for a dtype or an order that there is not, or one that does not fit the model's dim.
        """
        self.model_source = model_source
        dtype, bitorder = kwargs.pop("dtype", "float32"), kwargs.pop("bitorder", "big")
        self.model = OnnxStaticModel.from_pretrained(model_source, **cast(LoadOptions, kwargs))
        # An error now rather than at the first text.
        as_type(np.zeros((0, self.model.dim), np.float32), dtype, bitorder)
        self.dtype, self.bitorder = dtype, bitorder

    @property
    def dim(self) -> int:
        """Length of a vector, for the field's schema."""
        return self.model.dim

    def encode_queries(self, queries: list[str]) -> list[npt.NDArray[Any]]:
        """:return: float32 (or ``dtype``) [dim] a query, in their order. :raises TypeError: for a bare string."""
        return self._encode(queries)

    def encode_documents(self, documents: list[str]) -> list[npt.NDArray[Any]]:
        """:return: float32 (or ``dtype``) [dim] a document, in their order. :raises TypeError: for a bare string."""
        return self._encode(documents)

    def __call__(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        """:return: float32 (or ``dtype``) [dim] a text, in their order. :raises TypeError: for a bare string."""
        return self._encode(texts)

    def _encode(self, texts: list[str]) -> list[npt.NDArray[Any]]:
        if isinstance(texts, str):  # of which encode makes a single vector
            raise TypeError("expected a list of texts, got a single str: pass [text]")
        return list(self.model.encode(texts, dtype=self.dtype, bitorder=self.bitorder))
