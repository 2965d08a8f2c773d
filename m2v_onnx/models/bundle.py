"""A model's files on disk: a bundle, or a graph that others exported with its tokenizer beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from m2v_onnx.errors import InvalidModelError
from m2v_onnx.models.format import (
    BAG,
    CONFIG,
    FORMAT_VERSION,
    GOLDEN,
    KIND,
    MANIFEST,
    ONE,
    PLAIN,
    PROBES,
    TABLE,
    TEXT,
    TOKENIZER,
    VARIANTS,
)

FOREIGN_GRAPHS = ("onnx/model.onnx", "model.onnx")
"""Where other exporters put theirs."""

Precision = Literal["float32", "float16", "int8", "int4"]
"""Of a table, as `m2v-onnx export --precision` has it."""


@dataclass(frozen=True)
class ModelFiles:
    """What the runtime opens.

    :ivar graph: the .onnx file.
    :ivar folder: where tokenizer.json and config.json are.
    :ivar config: config.json; {} without one.
    """

    graph: Path
    folder: Path
    config: Mapping[str, Any]

    def checked(self, path: Path) -> Path:
        """A file that is about to be opened, and for a graph its table.

        :raises InvalidModelError: when one of these is missing, or not of the size that the bundle was written with.
        """
        name, known = path.relative_to(self.folder).as_posix(), self.manifest | self.variants
        with_table = path.suffix == ".onnx" and name not in self.variants  # these have their tables inside
        for needed in (name, TABLE) if with_table else (name,):
            if needed in known:
                check_size(self.folder / needed, known[needed]["size"])
        return path

    def in_precision(self, precision: Precision) -> "ModelFiles":
        """The same model with its table in another precision.

        :raises InvalidModelError: when the bundle has none in that one.
        """
        return replace(self, graph=self.folder / graph_in(self.config, precision, str(self.folder)))

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    @property
    def text(self) -> Path | None:
        """The graph with the tokenizer inside, where the bundle has one; None beside plain.onnx, which is opened where
        that one cannot be, and beside graphs in other precisions, which have other vectors."""
        apart = self.graph in {self.folder / name for name in (PLAIN, *self.variants)}
        return self.folder / TEXT if TEXT in self.manifest and not apart else None

    @property
    def one(self) -> Path | None:
        """The graph for one text, where the bundle has it and its bag.onnx is used."""
        return self.folder / ONE if ONE in self.manifest and self.graph == self.folder / BAG else None

    @property
    def golden(self) -> Path | None:
        path = self.folder / GOLDEN
        return path if MANIFEST in self.config and path.is_file() else None

    @property
    def probes(self) -> Path | None:
        """Checksums of token ids, where the bundle has them: Unigram and BPE models do."""
        return self.folder / PROBES if PROBES in self.manifest else None

    @property
    def kind(self) -> str:
        """The type of the tokenizer's model, "BPE" say; "" where the bundle does not tell."""
        return str(self.config.get(MANIFEST, {}).get(KIND, ""))

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """The same for the graphs in other precisions, which need not be here; {} where there are none."""
        return dict(self.config.get(MANIFEST, {}).get("variants", {}))

    @property
    def manifest(self) -> dict[str, dict[str, Any]]:
        """{path: {"size": bytes, "sha256": hexadecimal}}; {} for what is no bundle."""
        return dict(self.config.get(MANIFEST, {}).get("files", {}))


def read_bundle(folder: Path) -> ModelFiles | None:
    """A bundle's files; None where the folder is none. Each is looked at when it is opened.

    :raises InvalidModelError: when config.json is damaged.
    """
    config = read_config(folder)
    if MANIFEST not in config:
        return None
    return ModelFiles(folder / BAG, folder, config)


def graph_in(config: Mapping[str, Any], precision: Precision, model: str) -> str:
    """Which graph of a bundle has its table in a precision.

    :param config: its config.json. :param model: its name, for the error.
    :return: a path in the bundle: bag.onnx, or a graph in another precision than the bundle's own.
    :raises InvalidModelError: when there is none.
    """
    own, variants = config.get("embedding_dtype"), config.get(MANIFEST, {}).get("variants", {})
    there = {kind: name for name, kind in reversed(VARIANTS.items()) if name in variants} | {own: BAG}
    if precision not in there:
        raise InvalidModelError(
            f"{model}: expected a table in {precision}, there is {', '.join(map(str, sorted(there, key=str)))}: export"
            f" it again with --all-precisions, or with --precision {precision}"
        )
    return there[precision]


def read_graph_file(path: Path) -> ModelFiles:
    """An .onnx file; its tokenizer is beside it or one folder up, if it needs one."""
    folder = next(
        (folder for folder in (path.parent, path.parent.parent) if (folder / TOKENIZER).is_file()), path.parent
    )
    return ModelFiles(path, folder, read_config(folder))


def read_foreign(folder: Path) -> ModelFiles | None:
    """A folder with a graph of others; None where there is none."""
    graphs = [folder / name for name in FOREIGN_GRAPHS if (folder / name).is_file()]
    return read_graph_file(graphs[0]) if graphs else None


def read_config(folder: Path) -> dict[str, Any]:
    """config.json; {} where there is none.

    :raises InvalidModelError: when it is no JSON object, or a bundle's of a newer format.
    """
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidModelError(f"{path}: expected a JSON object ({error}): copy it or export it again") from error
    if not isinstance(config, dict):
        raise InvalidModelError(f"{path}: expected a JSON object, got {type(config).__name__}")
    manifest = config.get(MANIFEST)
    if manifest is not None:
        _check_manifest(manifest, path)
    return config


def check_size(path: Path, expected: int) -> None:
    """:raises InvalidModelError: for a file that is missing or of another size than recorded."""
    if not path.is_file():
        raise InvalidModelError(f"{path}: this file of the bundle is missing: copy it or export the model again")
    size = path.stat().st_size
    if size != expected:
        raise InvalidModelError(f"{path}: expected {expected:,} bytes, got {size:,}: copy it or export the model again")


def variants_here(files: ModelFiles) -> list[str]:
    """Of the graphs in other precisions those that are in the folder: a download leaves them on the Hub."""
    return [name for name in files.variants if (files.folder / name).is_file()]


def check_sizes(files: ModelFiles) -> None:
    """:raises InvalidModelError: for the first file that is missing or of another size than recorded."""
    for name, entry in files.manifest.items():
        check_size(files.folder / name, entry["size"])


def check_sha256(files: ModelFiles) -> None:
    """:raises InvalidModelError: for the first file that is missing, or whose content is not what was written."""
    check_sizes(files)
    here = {name: files.variants[name] for name in variants_here(files)}
    for name, entry in (files.manifest | here).items():
        found = sha256(files.folder / name)
        if found != entry["sha256"]:
            raise InvalidModelError(
                f"{files.folder / name}: expected sha256 {entry['sha256']}, got {found}:"
                " the file was changed or damaged; copy the bundle or export it again"
            )


def sha256(path: Path) -> str:
    import hashlib  # here, for it costs 8 ms and only checks need it

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(files: ModelFiles) -> str:
    """A number that two models share only if they make the same vectors: of the content of all files that are opened.

    :return: a sha256, hexadecimal.
    """
    import hashlib

    known = {name: entry["sha256"] for name, entry in files.manifest.items()}
    graph = files.graph.relative_to(files.folder).as_posix()
    for path in (files.graph, *files.graph.parent.glob(f"{files.graph.name}?data"), files.tokenizer):
        name = path.relative_to(files.folder).as_posix()
        if name not in known and path.is_file():
            known[name] = sha256(path)
    return hashlib.sha256(json.dumps([graph, sorted(known.items())]).encode()).hexdigest()


def _check_manifest(manifest: Any, path: Path) -> None:
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise InvalidModelError(
            f"{path}: expected bundle format {FORMAT_VERSION}, got {version!r}:"
            " pip install --upgrade m2v-onnx, or export the model again"
        )
    if not _is_list(manifest.get("files")) or not _is_list(manifest.get("variants", {})):
        raise InvalidModelError(f"{path}: its list of files is damaged: export the model again")


def _is_list(files: Any) -> bool:
    return isinstance(files, dict) and all(
        isinstance(entry, dict) and isinstance(entry.get("size"), int) and isinstance(entry.get("sha256"), str)
        for entry in files.values()
    )
