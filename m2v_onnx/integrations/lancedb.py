"""LanceDB: a ``TextEmbeddingFunction``, registered, so that a stored table finds it again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.models.locate import DEFAULT_MODEL

with needs("lancedb"):
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import ConfigDict, PrivateAttr


@register("m2v-onnx")
class Model2VecEmbeddings(TextEmbeddingFunction):
    """An embedding function for LanceDB's tables, by the name "m2v-onnx" in its registry.

        model = Model2VecEmbeddings.create(name="minishlab/potion-base-8M")

        class Notes(LanceModel):
            text: str = model.SourceField()
            vector: Vector(model.ndims()) = model.VectorField()

    What ``create`` was given is stored with the table: the model's name, options of
    ``OnnxStaticModel.from_pretrained``, and ``dim``, the length that vectors must have. A program that opens the table
    must have imported this module.

    :ivar max_retries: how often LanceDB tries again after an error. 0 here: an error of a model on this machine stays.
    """

    model_config = ConfigDict(extra="allow")

    name: str = DEFAULT_MODEL
    dim: int | None = None
    max_retries: int = 0
    _described: DescribedModel = PrivateAttr()

    def __init__(self, **values: Any) -> None:
        """Use ``create``. The model is opened when it is first used.

        :raises TypeError: for an option that there is not.
        """
        super().__init__(**values)
        self._described = DescribedModel.of(self.name, self.model_extra or {}, self.dim)

    @property
    def model(self) -> OnnxStaticModel:
        """The model behind it."""
        return self._described.model

    def ndims(self) -> int:
        """Length of a vector."""
        return self.model.dim

    def generate_embeddings(
        self, texts: Sequence[str] | npt.NDArray[np.str_], *_: Any, **__: Any
    ) -> list[npt.NDArray[np.float32]]:
        """:return: float32 [dim] a text. :raises TypeError: for a missing one."""
        return list(self._described.vectors(list(texts)))
