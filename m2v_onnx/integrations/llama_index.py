"""LlamaIndex: a ``BaseEmbedding``."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.models.locate import DEFAULT_MODEL

with needs("llama-index-core"):
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import Field, PrivateAttr

LARGEST_BATCH = 2048
"""Texts; what LlamaIndex allows at most. Its own default of 10 is for services that are asked over a network."""


class Model2VecEmbedding(BaseEmbedding):
    """An embedding model for LlamaIndex's indexes, retrievers and ingestion pipelines.

        Settings.embed_model = Model2VecEmbedding("minishlab/potion-base-8M")

    ``to_dict`` gives the model's name, its options and the length of its vectors, ``from_dict`` takes them. The options
    are those of ``OnnxStaticModel.from_pretrained``; an ingestion pipeline's cache tells models with other ones apart.
    """

    embed_batch_size: int = Field(default=LARGEST_BATCH, gt=0, le=LARGEST_BATCH)
    dim: int | None = Field(default=None, description="Length of a vector; the model's own by default.")
    options: dict[str, Any] = Field(default_factory=dict, description="Of OnnxStaticModel.from_pretrained.")
    _described: DescribedModel = PrivateAttr()

    def __init__(
        self, model_name: str | Path = DEFAULT_MODEL, *, options: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Open a model.

        :param model_name: what ``OnnxStaticModel.from_pretrained`` takes.
        :param options: its options, as ``to_dict`` gives them. Each may stand by itself instead: ``normalize=False``.
        :param more: options, those of LlamaIndex's ``BaseEmbedding``, and ``dim``: the length that vectors must have.
        :raises TypeError: for an option that there is not.
        """
        own = {name: more.pop(name) for name in list(more) if name in type(self).model_fields}
        described = DescribedModel.of(model_name, {**(options or {}), **more}, own.pop("dim", None))
        super().__init__(model_name=described.source, options=dict(described.options), dim=described.model.dim, **own)
        self._described = described

    @classmethod
    def class_name(cls) -> str:
        """The class's name in files."""
        return "Model2VecEmbedding"

    @property
    def model(self) -> OnnxStaticModel:
        """The model behind it, whose ``encode`` gives arrays."""
        return self._described.model

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._described.numbers(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._described.numbers(text)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._described.lists(texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._described.numbers, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._described.numbers, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._described.lists, texts)
