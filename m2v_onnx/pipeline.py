"""``OnnxStaticModelPipeline``: classifiers and regressors, with the names of model2vec's ``StaticModelPipeline``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import InvalidModelError
from m2v_onnx.limits import UNSET, Unset
from m2v_onnx.model import BATCH_SIZE, LoadOptions, OnnxStaticModel
from m2v_onnx.vectors.session import Vectors

Labels = npt.NDArray[Any]

THRESHOLD = 0.5
"""From which probability on a text has a label, where it may have several; as in model2vec."""


class PredictOptions(TypedDict, total=False):
    """How texts are run.

    :ivar show_progress_bar: show one (tqdm) on standard error.
    :ivar max_length: tokens that a text is truncated to, None for no limit; by default the model's.
    :ivar batch_size: texts tokenized at a time.
    """

    show_progress_bar: bool
    max_length: int | Unset | None
    batch_size: int


class OnnxStaticModelPipeline:
    """A model with a head, in onnxruntime: the graph itself makes the probabilities or predictions.

        pipeline = OnnxStaticModelPipeline.from_pretrained("path/to/bundle")
        pipeline.predict(["Take this."])

    :ivar model: the model behind it, whose ``encode`` gives the vectors.
    :ivar classes_: the labels, one an output; None for a regressor.
    :ivar activation: "softmax", "sigmoid" (several labels a text) or "identity" (a regressor).
    """

    def __init__(self, model: OnnxStaticModel) -> None:
        """:raises InvalidModelError: when the model has no head."""
        metadata = model.metadata
        if metadata is None or metadata.activation is None:
            raise InvalidModelError(
                f"{model.files.graph} has no head: export a StaticModelPipeline, or use OnnxStaticModel for vectors"
            )
        self.model = model
        self.activation = metadata.activation
        self.classes_: Labels | None = None if metadata.labels is None else np.asarray(metadata.labels)

    @classmethod
    def from_pretrained(cls, path: str | Path, **options: Unpack[LoadOptions]) -> Self:
        """Find a model and open it; everything is as for ``OnnxStaticModel.from_pretrained``.

        :raises InvalidModelError: when the model has no head, or its files are damaged.
        """
        return cls(OnnxStaticModel.from_pretrained(path, **options))

    def predict(
        self, X: str | Iterable[str], *, threshold: float = THRESHOLD, **options: Unpack[PredictOptions]
    ) -> Labels:
        """The labels of texts, or a regressor's values.

        :param X: one text, or any iterable of them.
        :param threshold: from which probability on a text has a label; for "sigmoid" only.
        :return: a label [N] for "softmax"; an array of labels each, as objects, for "sigmoid"; float32 [N, outputs]
            for a regressor. One text is taken as a list of one.
        """
        results = self._results(X, options)
        if self.classes_ is None:
            return results
        if self.activation == "sigmoid":
            return np.asarray([self.classes_[row > threshold] for row in results], dtype=object)
        labels: Labels = self.classes_[results.argmax(axis=1)]
        return labels

    def predict_proba(self, X: str | Iterable[str], **options: Unpack[PredictOptions]) -> Vectors:
        """The probabilities of the labels.

        :param X: one text, or any iterable of them.
        :return: float32 [N, labels], in the order of ``classes_``.
        :raises ValueError: for a regressor, which has none.
        """
        if self.classes_ is None:
            raise ValueError("a regressor has no probabilities: use predict")
        return self._results(X, options)

    def _results(self, texts: str | Iterable[str], options: PredictOptions) -> Vectors:
        parts = list(
            self.model.results_iter(
                [texts] if isinstance(texts, str) else texts,
                "head",
                show_progress_bar=options.get("show_progress_bar", False),
                max_length=options.get("max_length", UNSET),
                batch_size=options.get("batch_size", BATCH_SIZE),
            )
        )
        if not parts:  # no text, and only a run says how many outputs there are
            parts = [next(self.model.results_iter([""], "head"))[:0]]
        return np.concatenate(parts)
