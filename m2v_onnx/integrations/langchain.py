"""LangChain: an ``Embeddings``. The class and its parameter have the names of langchain-community's."""

from pathlib import Path
from typing import Unpack

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import LoadOptions
from m2v_onnx.models.locate import DEFAULT_MODEL

with needs("langchain-core"):
    from langchain_core.embeddings import Embeddings


class Model2vecEmbeddings(Embeddings):
    """An embedding model for LangChain's vector stores and retrievers.

        embeddings = Model2vecEmbeddings("minishlab/potion-base-8M")
        embeddings.embed_query("how do I cook noodles")

    ``aembed_documents`` and ``aembed_query`` do the same in a thread, and do not hold up the event loop.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL, **options: Unpack[LoadOptions]) -> None:
        """Open a model.

        :param model: what ``OnnxStaticModel.from_pretrained`` takes.
        :param options: its options.
        :raises TypeError: for an option that there is not.
        """
        self._described = DescribedModel.of(model, options)
        self.model = self._described.model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """:return: a list of ``dim`` numbers for each text. :raises TypeError: for a bare string."""
        return self._described.lists(texts)

    def embed_query(self, text: str) -> list[float]:
        """:return: ``dim`` numbers. :raises TypeError: for a list of texts."""
        return self._described.numbers(text)
