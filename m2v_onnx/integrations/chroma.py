"""Chroma: an ``EmbeddingFunction``, registered, so that a stored collection finds it again."""

from pathlib import Path
from typing import Any, Unpack

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import LoadOptions
from m2v_onnx.models.locate import DEFAULT_MODEL

with needs("chromadb"):
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function


@register_embedding_function
class Model2VecEmbeddingFunction(EmbeddingFunction[Documents]):
    """An embedding function for Chroma's collections.

        client.create_collection("notes", embedding_function=Model2VecEmbeddingFunction())

    Chroma stores its name and ``get_config()`` with the collection. A program that opens the collection must have
    imported this module.
    """

    def __init__(
        self, model_name: str | Path = DEFAULT_MODEL, *, dim: int | None = None, **options: Unpack[LoadOptions]
    ) -> None:
        """Open a model.

        :param model_name: what ``OnnxStaticModel.from_pretrained`` takes.
        :param dim: the length that vectors must have; by default whatever the model has.
        :param options: of ``OnnxStaticModel.from_pretrained``.
        :raises InvalidModelError: when the vectors have another length.
        """
        self._described = DescribedModel.of(model_name, options, dim)
        self.model = self._described.model

    def __call__(self, input: Documents) -> Embeddings:
        """:return: float32 [dim] a text."""
        return list(self._described.vectors(input))

    @staticmethod
    def name() -> str:
        """What Chroma knows the class by."""
        return "m2v_onnx"

    def default_space(self) -> Space:
        """How vectors are compared where a collection does not say."""
        return "cosine"

    def get_config(self) -> dict[str, Any]:
        """What ``build_from_config`` takes, in values that JSON has."""
        return {"model_name": self._described.source, **self._described.config()}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "Model2VecEmbeddingFunction":
        """Open the model that a collection was made with. :raises InvalidModelError: when its length is another."""
        return Model2VecEmbeddingFunction(**config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """A model may have moved, but what makes other vectors may not change under those that are stored."""
        for name in ("dim", "normalize", "max_length"):
            old, new = old_config.get(name), new_config.get(name)
            if old != new:
                raise ValueError(f"{name}: the collection's vectors were made with {old!r}, got {new!r}")
