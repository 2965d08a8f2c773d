"""A model, and the plain values that open the same one again: what all adapters stand on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from m2v_onnx.errors import InvalidModelError, MissingExtraError
from m2v_onnx.lazy import lazy_property
from m2v_onnx.model import LoadOptions, OnnxStaticModel, split_options
from m2v_onnx.vectors.session import Vectors


@dataclass(frozen=True)
class DescribedModel:
    """A model by its name, its options and the length of its vectors. It is opened when it is first used.

    :ivar source: what ``OnnxStaticModel.from_pretrained`` takes.
    :ivar options: its options, in values that JSON has.
    :ivar wanted_dim: the length that vectors must have; None for whatever the model has.
    """

    source: str
    options: Mapping[str, Any]
    wanted_dim: int | None

    @classmethod
    def of(cls, source: str | Path, options: Mapping[str, Any], dim: int | None = None) -> Self:
        """Look at what an adapter was given, without opening the model.

        :param options: of ``OnnxStaticModel.from_pretrained``.
        :param dim: the length that vectors must have: the one that was written down when others were made.
        :raises TypeError: for an option that there is not, and for one that cannot be written into a file.
        """
        split_options(cast(LoadOptions, options))
        if options.get("token") is not None:
            raise TypeError("token: a configuration must not hold it; set the environment variable HF_TOKEN instead")
        try:
            plain = json.loads(json.dumps(dict(options)))
        except TypeError as error:
            raise TypeError(f"expected options that JSON can hold, got {dict(options)}: {error}") from error
        return cls(str(source), plain, dim)

    def config(self) -> dict[str, Any]:
        """The options and ``dim``, once it is known: with the source they are what ``of`` takes."""
        dim = self.model.dim if "model" in vars(self) else self.wanted_dim
        return {**self.options, **({} if dim is None else {"dim": dim})}

    @lazy_property
    def model(self) -> OnnxStaticModel:
        """:raises InvalidModelError: when its vectors have another length than the wanted one."""
        options = dict(self.options)
        if options.get("providers"):  # onnxruntime wants a tuple of a name and its options, JSON makes a list of it
            options["providers"] = [tuple(each) if isinstance(each, list) else each for each in options["providers"]]
        model = OnnxStaticModel.from_pretrained(self.source, **cast(LoadOptions, options))
        if self.wanted_dim not in (None, model.dim):
            raise InvalidModelError(
                f"{self.source}: its vectors have {model.dim} dimensions, expected {self.wanted_dim}, which other"
                " vectors were made with: give the model that made these, or make them anew with this one"
            )
        return model

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """:return: float32 [N, dim]. :raises TypeError: for a bare string, of which encode makes a single vector."""
        if isinstance(texts, str):
            raise TypeError("expected a list of texts, got a single str: pass [text]")
        return self.model.encode(texts)

    def vector(self, text: str) -> Vectors:
        """:return: float32 [dim]. :raises TypeError: for a list."""
        if not isinstance(text, str):
            raise TypeError(f"expected a text, got {type(text).__name__}")
        return self.model.encode(text)

    def lists(self, texts: Sequence[str]) -> list[list[float]]:
        """As ``vectors``, in Python's floats."""
        rows: list[list[float]] = self.vectors(texts).tolist()
        return rows

    def numbers(self, text: str) -> list[float]:
        """As ``vector``, in Python's floats."""
        row: list[float] = self.vector(text).tolist()
        return row


@contextmanager
def needs(package: str) -> Iterator[None]:
    """Import a framework. :raises MissingExtraError: when its package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError("this adapter", None, package) from error
