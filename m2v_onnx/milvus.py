"""``Model2VecEmbeddingFunction``: the interface of the class of that name in pymilvus.model."""

from pathlib import Path
from typing import Unpack

from m2v_onnx.model import LoadOptions, OnnxStaticModel
from m2v_onnx.session import Vectors

DEFAULT_MODEL = "minishlab/potion-base-8M"
"""As in pymilvus.model."""


class Model2VecEmbeddingFunction:
    """An embedding function for Milvus; takes the place of ``pymilvus.model.dense.Model2VecEmbeddingFunction``.

        >>> from m2v_onnx import Model2VecEmbeddingFunction
        >>> ef = Model2VecEmbeddingFunction("minishlab/potion-base-2M")
        >>> [vector.shape for vector in ef.encode_documents(["Cats purr.", "Dogs bark."])]
        [(64,), (64,)]

    :ivar model_source: as it was given.
    :ivar model: the ``OnnxStaticModel`` behind it.
    """

    def __init__(self, model_source: str | Path = DEFAULT_MODEL, **kwargs: Unpack[LoadOptions]) -> None:
        """Open a model.

        :param model_source: what ``OnnxStaticModel.from_pretrained`` takes.
        :param kwargs: its options.
        """
        self.model_source = model_source
        self.model = OnnxStaticModel.from_pretrained(model_source, **kwargs)

    @property
    def dim(self) -> int:
        """Length of a vector, for the field's schema."""
        return self.model.dim

    def encode_queries(self, queries: list[str]) -> list[Vectors]:
        """:return: float32 [dim] a query, in their order. :raises TypeError: for a bare string."""
        return self._encode(queries)

    def encode_documents(self, documents: list[str]) -> list[Vectors]:
        """:return: float32 [dim] a document, in their order. :raises TypeError: for a bare string."""
        return self._encode(documents)

    def __call__(self, texts: list[str]) -> list[Vectors]:
        """:return: float32 [dim] a text, in their order. :raises TypeError: for a bare string."""
        return self._encode(texts)

    def _encode(self, texts: list[str]) -> list[Vectors]:
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"expected a list of texts, got a single {type(texts).__name__}: pass [text]")
        return list(self.model.encode(texts))
