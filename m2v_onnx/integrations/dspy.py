"""DSPy: an ``Embedder``.

``dspy.Embedder(model.encode)`` looks as if it did the same. But DSPy caches vectors, by default and on disk, by the
texts and the source code of the function, which is one and the same for all models: the second model gets the first
one's vectors. And it copies the model for each call that it has no vectors for.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import BATCH_SIZE, LoadOptions
from m2v_onnx.models.locate import DEFAULT_MODEL
from m2v_onnx.vectors.session import Vectors

with needs("dspy"):
    import dspy


class Model2VecEmbedder(dspy.Embedder):
    """An embedder for DSPy's retrievers and few-shot optimizers. Nothing is cached.

    dspy.retrievers.Embeddings(corpus, embedder=Model2VecEmbedder("minishlab/potion-base-8M"), k=5)
    """

    def __init__(
        self, model: str | Path = DEFAULT_MODEL, batch_size: int = BATCH_SIZE, **options: Unpack[LoadOptions]
    ) -> None:
        """Open a model.

        :param model: what ``OnnxStaticModel.from_pretrained`` takes.
        :param batch_size: texts tokenized at a time.
        :param options: of ``OnnxStaticModel.from_pretrained``.
        :raises TypeError: for an option that there is not.
        """
        self._described = DescribedModel.of(model, options)
        super().__init__(self._described.model.encode, batch_size=batch_size, caching=False)

    def __call__(
        self, inputs: str | Sequence[str], batch_size: int | None = None, caching: bool | None = None
    ) -> Vectors:
        """:return: float32 [N, dim]; [dim] for one text. :raises ValueError: for ``caching=True``."""
        if caching:
            raise ValueError("caching: DSPy's cache cannot tell models apart: leave it out")
        vectors: Vectors = self.model(inputs, batch_size=self.batch_size if batch_size is None else batch_size)
        return vectors

    async def acall(
        self, inputs: str | Sequence[str], batch_size: int | None = None, caching: bool | None = None
    ) -> Vectors:
        """As a call, in a thread."""
        return await asyncio.to_thread(self, inputs, batch_size, caching)
