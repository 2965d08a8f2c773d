"""txtai: a vector model, by its dotted path in the configuration's ``method``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_onnx.integrations.described import DescribedModel, needs
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.vectors.session import Vectors as Array

with needs("txtai"):
    from txtai.vectors import Vectors


class Model2Vec(Vectors):
    """A vector model for txtai's embeddings databases.

        Embeddings(method="m2v_onnx.integrations.txtai.Model2Vec", path="minishlab/potion-base-8M")

    ``path`` is what ``OnnxStaticModel.from_pretrained`` takes, ``vectors`` its options: ``{"max_length": 100}``. txtai
    stores both with an index. It divides vectors by their L2 norm itself.
    """

    def loadmodel(self, path: str) -> OnnxStaticModel:
        """Open the model. :raises TypeError: for an option that there is not."""
        return DescribedModel.of(path, self.config.get("vectors", {})).model

    def encode(self, data: Sequence[str], category: str | None = None) -> Array:
        """:return: float32 [N, dim]."""
        vectors: Array = self.model.encode(list(data))
        return vectors

    def normalize(self, embeddings: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Divide by the L2 norm in place; a vector of zeros stays one, of which txtai would make NaN."""
        norms = np.linalg.norm(embeddings, axis=-1, keepdims=True)
        embeddings /= np.where(norms > 0, norms, 1)
        return embeddings
