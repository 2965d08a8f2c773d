"""The models of a server, by name."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from m2v_onnx.lazy import lazy_property
from m2v_onnx.model import OnnxStaticModel
from m2v_onnx.serve.problems import Problem
from m2v_onnx.vectors.encoder import ONE_BY_ONE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WARM_UP = ("ready", "ready steady go go")
"""One text and more than a few take different graphs, and both are opened before the first request comes."""


def warm_up(model: OnnxStaticModel) -> None:
    """Open what is opened when it is first needed.

    :raises InvalidModelError: for a damaged file.
    """
    model.encode_counted([WARM_UP[0]])
    model.encode_counted([*WARM_UP] * ONE_BY_ONE)


class Served:
    """A model and its name."""

    def __init__(self, name: str, model: OnnxStaticModel) -> None:
        self.name, self.model = name, model

    def warm_up(self) -> None:
        """Open what a fork has left to be opened anew, and see that vectors can be made."""
        warm_up(self.model)

    @lazy_property
    def tokenizer(self) -> "Tokenizer":
        """The library's, which knows a token's text and place; opened when it is first asked for."""
        from m2v_onnx.vectors.by_tokenizers import TokenizersTokens

        files = self.model.files
        return TokenizersTokens.read(files.checked(files.tokenizer), self.model.metadata).tokenizer

    @property
    def facts(self) -> dict[str, Any]:
        """What a model is, for those who ask."""
        metadata = self.model.metadata
        return {
            "name": self.name,
            "source": metadata.source if metadata else self.name,
            "revision": (metadata.revision or None) if metadata else None,
            "dim": self.model.dim,
            "precision": metadata.precision if metadata else "float32",
            "normalize": self.model.normalize,
            "max_length": self.model.max_length,
            "tokens_from": self.model.tokens_from,
        }


class Models:
    """All models of a server. The first is the one that is meant where a request names none."""

    def __init__(self, models: Mapping[str, OnnxStaticModel]) -> None:
        """:param models: at least one."""
        self.all = [Served(name, model) for name, model in models.items()]
        self.first = self.all[0]
        self._by_name = {served.name: served for served in self.all}
        for served in self.all:  # "potion-base-8M" for "minishlab/potion-base-8M"
            self._by_name.setdefault(served.name.rpartition("/")[2], served)

    def find(self, name: str | None) -> Served:
        """:raises Problem: for a name that no model has."""
        if name is None:
            return self.first
        served = self._by_name.get(name) or self._by_name.get(
            name.removesuffix(":latest")
        )  # as Ollama's clients have it
        if served is None:
            names = ", ".join(served.name for served in self.all)
            raise Problem("model", f"there is no model {name[:200]!r} here; there is {names}", parameter="model")
        return served


@cache
def own_version() -> str:
    """What is installed. It takes some 20 ms to find out, of a start."""
    from importlib.metadata import version

    return version("m2v-onnx")
