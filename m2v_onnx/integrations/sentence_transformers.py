"""sentence-transformers: its names on our model, for programs that are written for it, without PyTorch.

Parameters are in the order of sentence-transformers 6. Those that a static model has no use for are left out, so that
nothing is ignored in silence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack, get_args

import numpy as np
import numpy.typing as npt

from m2v_onnx.integrations.described import needs
from m2v_onnx.limits import at_least_one
from m2v_onnx.model import BATCH_SIZE, LoadOptions, OnnxStaticModel
from m2v_onnx.models.locate import DEFAULT_MODEL
from m2v_onnx.vectors.dtypes import as_type

Precision = Literal["float32", "int8", "binary", "ubinary"]
SimilarityName = Literal["cosine", "dot"]
Array = npt.NDArray[Any]

SIGN_BIT = np.uint8(0x80)
"""What tells sentence-transformers' "binary" from its "ubinary": the bytes less 128, as int8."""

NO_LENGTH = 1e-12
"""Vectors that are shorter are not made longer; torch's ``normalize`` has the same bound."""

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names of the prompt that ``encode_document`` takes, the first one that there is."""


@dataclass(frozen=True)
class ModelCardData:
    """What evaluation tools read: the model's name."""

    model_name: str
    base_model: str | None = None
    base_model_revision: str | None = None


class SentenceTransformer:
    """A model behind the names of ``sentence_transformers.SentenceTransformer``.

        model = SentenceTransformer("minishlab/potion-base-8M")
        vectors = model.encode(["The weather is lovely today.", "It's so sunny outside!"])
        model.similarity(vectors, vectors)

    :ivar model: the ``OnnxStaticModel`` behind it.
    :ivar prompts: texts that are put in front of others, by name.
    :ivar truncate_dim: how many numbers of a vector ``encode`` keeps; None for all.
    """

    device = "cpu"

    def __init__(
        self,
        model_name_or_path: str | Path = DEFAULT_MODEL,
        *,
        device: str | None = None,
        prompts: Mapping[str, str] | None = None,
        similarity_fn_name: SimilarityName = "cosine",
        truncate_dim: int | None = None,
        **options: Unpack[LoadOptions],
    ) -> None:
        """Open a model.

        :param model_name_or_path: what ``OnnxStaticModel.from_pretrained`` takes.
        :param device: None or "cpu"; for others there is the option ``providers``.
        :param prompts: texts that are put in front of others, by name.
        :param options: of ``OnnxStaticModel.from_pretrained``.
        """
        if similarity_fn_name not in get_args(SimilarityName):
            raise ValueError(
                f"similarity_fn_name: expected one of {get_args(SimilarityName)}, got {similarity_fn_name!r}"
            )
        self._on_cpu(device)
        self.model = OnnxStaticModel.from_pretrained(model_name_or_path, **options)
        self.prompts = dict(prompts or {})
        self.similarity_fn_name = similarity_fn_name
        self.truncate_dim = self._checked_dim(truncate_dim)
        self.model_card_data = ModelCardData(str(model_name_or_path))

    @property
    def max_seq_length(self) -> int | None:
        """Tokens that a text is truncated to."""
        return self.model.max_length

    def get_embedding_dimension(self) -> int:
        """Length of a vector."""
        return self.truncate_dim or self.model.dim

    def get_sentence_embedding_dimension(self) -> int:
        """Length of a vector; the older name."""
        return self.get_embedding_dimension()

    def encode(
        self,
        inputs: str | Iterable[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = BATCH_SIZE,
        show_progress_bar: bool | None = False,
        *,
        precision: Precision = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Any:
        """Make the vectors of some texts.

        :param inputs: one text, or any iterable of them.
        :param prompt_name: the name of one of ``prompts``.
        :param prompt: a text that is put in front of each.
        :param batch_size: texts tokenized at a time.
        :param precision: "float32", "int8" (each vector scaled to its own largest value), "ubinary" (a bit a dimension,
            uint8) or "binary" (the same bytes less 128, int8).
        :param convert_to_tensor: return a torch tensor.
        :param normalize_embeddings: divide by the L2 norm, after ``truncate_dim``; otherwise as the model does it.
        :param truncate_dim: how many numbers of a vector to keep; by default those of the constructor.
        :return: float32, int8 or uint8 [N, dim]; [dim] for one text. Without ``convert_to_numpy`` a list of tensors.
        :raises ValueError: for a prompt, a precision, a device or a length that there is not.
        """
        if precision not in get_args(Precision):
            raise ValueError(
                f"precision: expected one of {get_args(Precision)}, got {precision!r}"
                " (uint8 would depend on the other texts of the call)"
            )
        self._on_cpu(device)
        dim = self._checked_dim(truncate_dim) or self.truncate_dim
        vectors = self.model.encode(
            self._prompted(inputs, prompt_name, prompt),
            batch_size=batch_size,
            show_progress_bar=bool(show_progress_bar),
        )
        if dim is not None:
            vectors = np.ascontiguousarray(vectors[..., :dim])
        if normalize_embeddings:
            vectors = _unit(vectors)
        vectors = as_type(vectors, "binary" if precision in ("binary", "ubinary") else precision)
        if precision == "binary":
            vectors = (vectors ^ SIGN_BIT).view(np.int8)
        if convert_to_numpy and not convert_to_tensor:
            return vectors
        with needs("torch"):
            import torch
        tensor = torch.from_numpy(vectors)
        return tensor if convert_to_tensor or tensor.ndim == 1 else list(tensor)

    def encode_query(self, inputs: str | Iterable[str], prompt_name: str | None = None, **options: Any) -> Any:
        """As ``encode``, with the prompt "query" where there is one and no other is asked for."""
        if prompt_name is None and options.get("prompt") is None and "query" in self.prompts:
            prompt_name = "query"
        return self.encode(inputs, prompt_name, **options)

    def encode_document(self, inputs: str | Iterable[str], prompt_name: str | None = None, **options: Any) -> Any:
        """As ``encode``, with the prompt "document" (or "passage", "corpus") where there is one and no other is asked
        for."""
        if prompt_name is None and options.get("prompt") is None:
            prompt_name = next((name for name in DOCUMENT_PROMPTS if name in self.prompts), None)
        return self.encode(inputs, prompt_name, **options)

    def similarity(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Array:
        """The similarity of each vector to each.

        :param embeddings1: float32 [N, dim], or [dim].
        :param embeddings2: float32 [M, dim], or [dim].
        :return: float32 [N, M], an array and no tensor. 0 for a vector of zeros.
        """
        return self._ready(embeddings1) @ self._ready(embeddings2).T

    def similarity_pairwise(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Array:
        """The similarity of each vector to the one at its place. :return: float32 [N]."""
        pairs: Array = np.einsum("nd,nd->n", self._ready(embeddings1), self._ready(embeddings2))
        return pairs

    def _ready(self, vectors: npt.ArrayLike) -> Array:
        floats = np.atleast_2d(np.asarray(vectors, np.float32))
        return _unit(floats) if self.similarity_fn_name == "cosine" else floats

    def _prompted(self, inputs: str | Iterable[str], name: str | None, prompt: str | None) -> str | Iterable[str]:
        if prompt is None and name is not None:
            if name not in self.prompts:
                raise ValueError(
                    f"prompt_name: expected one of {sorted(self.prompts)}, got {name!r}: give prompts={{...}}"
                )
            prompt = self.prompts[name]
        if not prompt:
            return inputs
        return prompt + inputs if isinstance(inputs, str) else [prompt + text for text in inputs]

    def _checked_dim(self, dim: int | None) -> int | None:
        if dim is not None and at_least_one("truncate_dim", dim) > self.model.dim:
            raise ValueError(f"truncate_dim: expected at most {self.model.dim}, which the model has, got {dim}")
        return dim

    @staticmethod
    def _on_cpu(device: str | None) -> None:
        if device not in (None, "cpu"):
            raise ValueError(f"device: expected 'cpu', got {device!r}: for others give providers=[...] to onnxruntime")


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), NO_LENGTH)
    return unit
