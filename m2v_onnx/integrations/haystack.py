"""Haystack: a text embedder and a document embedder, for pipelines that may be written to YAML."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import LoadOptions
from m2v_onnx.models.locate import DEFAULT_MODEL

with needs("haystack-ai"):
    from haystack import Document, component, default_from_dict, default_to_dict


@component
class Model2VecTextEmbedder:
    """Embed a query.

        Model2VecTextEmbedder("minishlab/potion-base-8M").run("how do I cook noodles")["embedding"]

    The model is opened by ``warm_up``, which a pipeline calls, or at the first text.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        prefix: str = "",
        suffix: str = "",
        dim: int | None = None,
        **options: Unpack[LoadOptions],
    ) -> None:
        """Say which model; it is not opened yet.

        :param model: what ``OnnxStaticModel.from_pretrained`` takes.
        :param prefix: what is put in front of each text.
        :param suffix: what is put behind each text.
        :param dim: the length that vectors must have; by default whatever the model has.
        :param options: of ``OnnxStaticModel.from_pretrained``.
        :raises TypeError: for an option that there is not.
        """
        self._described = DescribedModel.of(model, options, dim)
        self.prefix, self.suffix = prefix, suffix

    def warm_up(self) -> None:
        """Open the model. :raises InvalidModelError: when its vectors have another length than ``dim``."""
        _ = self._described.model

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` takes; with ``dim``, once the model is open."""
        return _to_dict(self, self._described, prefix=self.prefix, suffix=self.suffix)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Model2VecTextEmbedder":
        """Make the embedder that ``to_dict`` was asked of. It opens the model later."""
        made: Model2VecTextEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """Make the vector of a text.

        :return: ``embedding``, a list of ``dim`` numbers, and ``meta``, the model's name.
        :raises TypeError: for something that is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected a text, got {type(text).__name__}: for documents use Model2VecDocumentEmbedder")
        embedding = self._described.numbers(f"{self.prefix}{text}{self.suffix}")
        return {"embedding": embedding, "meta": {"model": self._described.source}}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """As ``run``, in a thread."""
        return await asyncio.to_thread(self.run, text)


@component
class Model2VecDocumentEmbedder:
    """Embed documents.

        Model2VecDocumentEmbedder("minishlab/potion-base-8M").run([Document(content="Salt the water.")])["documents"]

    The model is opened by ``warm_up``, which a pipeline calls, or at the first document.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        prefix: str = "",
        suffix: str = "",
        meta_fields_to_embed: Sequence[str] = (),
        embedding_separator: str = "\n",
        dim: int | None = None,
        **options: Unpack[LoadOptions],
    ) -> None:
        """Say which model; it is not opened yet.

        :param model: what ``OnnxStaticModel.from_pretrained`` takes.
        :param prefix: what is put in front of each text.
        :param suffix: what is put behind each text.
        :param meta_fields_to_embed: fields of a document's ``meta`` that are put in front of its content.
        :param embedding_separator: what stands between these and the content.
        :param dim: the length that vectors must have; by default whatever the model has.
        :param options: of ``OnnxStaticModel.from_pretrained``.
        :raises TypeError: for an option that there is not.
        """
        self._described = DescribedModel.of(model, options, dim)
        self.prefix, self.suffix = prefix, suffix
        self.meta_fields_to_embed = list(meta_fields_to_embed)
        self.embedding_separator = embedding_separator

    def warm_up(self) -> None:
        """Open the model. :raises InvalidModelError: when its vectors have another length than ``dim``."""
        _ = self._described.model

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` takes; with ``dim``, once the model is open."""
        return _to_dict(
            self,
            self._described,
            prefix=self.prefix,
            suffix=self.suffix,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Model2VecDocumentEmbedder":
        """Make the embedder that ``to_dict`` was asked of. It opens the model later."""
        made: Model2VecDocumentEmbedder = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Make the vectors of documents.

        :return: ``documents``, copies with their ``embedding``, a list of ``dim`` numbers; and ``meta``, the model's
            name.
        :raises TypeError: for something that is no list of documents.
        """
        if not isinstance(documents, list) or not all(isinstance(each, Document) for each in documents):
            raise TypeError("expected a list of Documents: for a text use Model2VecTextEmbedder")
        embeddings = self._described.lists([self._text(document) for document in documents])
        embedded = [replace(each, embedding=row) for each, row in zip(documents, embeddings, strict=True)]
        return {"documents": embedded, "meta": {"model": self._described.source}}

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """As ``run``, in a thread."""
        return await asyncio.to_thread(self.run, documents)

    def _text(self, document: Document) -> str:
        fields = (document.meta.get(name) for name in self.meta_fields_to_embed)
        parts = [*(str(value) for value in fields if value is not None), document.content or ""]
        return f"{self.prefix}{self.embedding_separator.join(parts)}{self.suffix}"


def _to_dict(embedder: Any, described: DescribedModel, **own: Any) -> dict[str, Any]:
    written: dict[str, Any] = default_to_dict(embedder, model=described.source, **own, **described.config())
    return written
