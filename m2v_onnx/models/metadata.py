"""What a graph says of itself: the ``metadata_props`` of every graph of a bundle."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from m2v_onnx.errors import InvalidModelError
from m2v_onnx.models.format import FORMAT_VERSION


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The facts that a runtime needs besides the graph.

    :ivar graph: its kind, "bag", "one", "model", "plain" or "text".
    :ivar source: the Model2Vec model's name, a Hub id or a folder's name.
    :ivar revision: the source's commit on the Hub; empty for a folder.
    :ivar source_sha256: of the source's tensors, hexadecimal.
    :ivar dim: length of a vector.
    :ivar precision: the table's dtype in the file.
    :ivar normalize: whether the graph divides by the L2 norm.
    :ivar max_length: tokens that a text is truncated to; None for no limit.
    :ivar median_token_length: code points; a text is cut to ``max_length`` times as many before it is tokenized.
    :ivar unk_token_id: the token that is dropped before the mean; None for none.
    :ivar exporter: the exporter's name and version.
    :ivar activation: the last step of a head, "softmax", "sigmoid" or "identity"; None without a head.
    :ivar labels: of a classifier, strings or numbers; None for others.
    """

    graph: str
    source: str
    revision: str
    source_sha256: str
    dim: int
    precision: str
    normalize: bool
    max_length: int | None
    median_token_length: int
    unk_token_id: int | None
    exporter: str
    format_version: int = FORMAT_VERSION
    activation: str | None = None
    labels: list[Any] | None = None

    def props(self) -> dict[str, str]:
        """As ONNX stores them: strings as they are, everything else as JSON; nothing of a head that is not there."""
        values = {key: value for key, value in asdict(self).items() if value is not None or key not in _OF_HEADS}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    @classmethod
    def read(cls, props: Mapping[str, str], where: str) -> "Metadata | None":
        """Read them back; None where a graph has none, as one that others exported.

        :param where: the file's name, for the errors.
        :raises InvalidModelError: for a newer format, or keys that are missing or unreadable.
        """
        if "format_version" not in props:
            return None
        _check_version(props["format_version"], where)
        try:
            values: dict[str, Any] = {
                f.name: props[f.name] if f.type in (str, str | None) else json.loads(props[f.name])
                for f in fields(cls)
                if f.name in props or f.name not in _OF_HEADS
            }
        except (KeyError, ValueError) as error:
            raise InvalidModelError(f"{where}: its metadata are damaged ({error!r}): export it again") from error
        return cls(**values)


_OF_HEADS = ("activation", "labels")


def _check_version(version: str, where: str) -> None:
    if version != str(FORMAT_VERSION):
        raise InvalidModelError(
            f"{where} has bundle format {version}, this m2v-onnx reads format {FORMAT_VERSION}:"
            " pip install --upgrade m2v-onnx, or export the model again"
        )
