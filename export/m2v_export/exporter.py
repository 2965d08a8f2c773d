"""The whole export, from a source to a checked bundle."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import ceil, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_export.card import card
from m2v_export.check import Differences, check_bundle
from m2v_export.companions import config, tokenizer_files
from m2v_export.golden import dump, golden
from m2v_export.graphs import bag_graph, padded_graph
from m2v_export.source import Source, is_source, read_folder, read_static_model
from m2v_export.write import new_folder, write_graph, write_single_file, write_table
from m2v_onnx import hub
from m2v_onnx.bundle import read_bundle, sha256
from m2v_onnx.errors import InvalidModelError, ModelNotFoundError
from m2v_onnx.format import BAG, CARD, CONFIG, FORMAT_VERSION, GOLDEN, MANIFEST, PADDED, PRODUCER, TABLE
from m2v_onnx.metadata import Metadata
from m2v_onnx.model import UNSET, Unset

if TYPE_CHECKING:
    from model2vec import StaticModel


@dataclass(frozen=True)
class Report:
    """What an export wrote and measured.

    :ivar folder: the bundle.
    :ivar files: {path: {"size": bytes, "sha256": hexadecimal}}.
    :ivar differences: to model2vec and to the golden vectors.
    :ivar notes: what was left out, and why.
    """

    folder: Path
    files: dict[str, dict[str, Any]]
    differences: Differences
    notes: list[str]


def export_model(
    source: "str | Path | StaticModel",
    out: str | Path,
    *,
    normalize: bool | None = None,
    max_length: int | Unset | None = UNSET,
    single_file: bool = False,
    name: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> Report:
    """Write a Model2Vec model as a bundle, and check it against model2vec.

    :param source: a folder in any layout that model2vec reads, a Hub id, or a ``StaticModel``.
    :param out: the bundle's folder; it must not exist.
    :param normalize: whether vectors are divided by their L2 norm; the source's own setting by default.
    :param max_length: tokens that a text is truncated to, None for no limit; the source's own setting by default.
    :param single_file: put the table into each graph, where one file is wanted.
    :param name: the source's name in the card; the Hub id or folder's name by default.
    :param revision: a commit, branch or tag on the Hub; for a folder, what to write into the card.
    :param token: the Hub's access token.
    :param subfolder: a folder inside the source.
    :return: what was written and measured.
    :raises ModelNotFoundError: when there is no such source.
    :raises InvalidModelError: when the source is damaged, or its parts do not fit.
    :raises ExportError: when the output cannot be written or fails the check; nothing is left behind.
    """
    model = _read(source, name, revision, token, subfolder)
    model = replace(
        model,
        normalize=model.normalize if normalize is None else normalize,
        max_length=model.max_length if isinstance(max_length, Unset) else max_length,
    )
    out = Path(out)
    with new_folder(out) as folder:
        notes = _write_model(folder, model, single_file)
        differences = check_bundle(folder, model.reference(), model.embedding.precision, model.max_length)
        files = _list(folder)
        bound = 10.0 ** ceil(log10(max(differences.largest, 1e-9)))
        (folder / CARD).write_bytes(card(model, files, bound, notes))
        files = _list(folder)
        manifest = {"format_version": FORMAT_VERSION, "files": files}
        (folder / CONFIG).write_bytes(config(model, single_file, MANIFEST, manifest))
    return Report(out, files, differences, notes)


def verify_bundle(bundle: str | Path, source: "str | Path | StaticModel | None" = None) -> Differences:
    """Check a bundle's files against their sha256 and its graphs against its golden texts.

    :param source: the Model2Vec model to compare with; None to leave that comparison out.
    :raises ModelNotFoundError, InvalidModelError: when it is no bundle, or a file was changed or damaged.
    :raises ExportError: when ids or vectors differ.
    """
    from m2v_onnx.bundle import check_sha256

    folder = Path(bundle)
    files = read_bundle(folder) if folder.is_dir() else None
    if files is None:
        raise ModelNotFoundError(f"{folder} is no bundle: expected a folder that `m2v-onnx export` wrote")
    check_sha256(files)
    try:
        normalize, max_length, precision = (files.config[k] for k in ("normalize", "max_length", "embedding_dtype"))
    except KeyError as error:
        raise InvalidModelError(f"{folder / CONFIG}: expected a key {error}: export the model again") from error
    reference = None
    if source is not None:
        model = _read(source, None, None, None, None)
        reference = replace(model, normalize=normalize, max_length=max_length).reference()
    return check_bundle(folder, reference, precision, max_length)


def _read(
    source: "str | Path | StaticModel", name: str | None, revision: str | None, token: str | None, subfolder: str | None
) -> Source:
    if not isinstance(source, (str, Path)):
        return read_static_model(source, name)
    path = Path(source).expanduser()
    if path.exists():
        return read_folder(path / subfolder if subfolder else path, name, revision or "")
    tried = [f"no file or folder {path}"]
    repo_id = Path(source).as_posix()
    if not hub.is_repo_id(repo_id):
        raise ModelNotFoundError(f"no model {str(source)!r}: {tried[0]}; no name of a Hub repository (owner/name)")
    snapshot = hub.download(repo_id, revision=revision, token=token, subfolder=subfolder, tried=tried, bundle=False)
    if not is_source(snapshot.folder):
        raise ModelNotFoundError(f"the Hub's repository {repo_id} has no Model2Vec model: check its name and subfolder")
    return read_folder(snapshot.folder, name or repo_id, snapshot.revision)


def _write_model(folder: Path, model: Source, single_file: bool) -> list[str]:
    """Graphs, table, tokenizer and golden texts. :return: notes on what was left out."""
    embedding = model.embedding
    builders: dict[str, tuple[str, Callable[..., Any]]] = {BAG: ("bag", bag_graph), PADDED: ("model", padded_graph)}
    (folder / BAG).parent.mkdir()
    for path, (kind, build) in builders.items():
        graph = build(embedding, _metadata(model, kind).props())
        if single_file:
            write_single_file(folder / path, graph, embedding.tensors)
        else:
            write_graph(folder / path, graph)
    if not single_file:
        write_table(folder / TABLE, embedding)
    for name, content in tokenizer_files(model).items():
        (folder / name).write_bytes(content)
    (folder / GOLDEN).write_bytes(dump(golden(model)))
    return []


def _metadata(model: Source, graph: str) -> Metadata:
    return Metadata(
        graph=graph,
        source=model.name,
        revision=model.revision,
        source_sha256=model.sha256,
        dim=model.embedding.dim,
        precision=model.embedding.precision,
        normalize=model.normalize,
        max_length=model.max_length,
        median_token_length=model.median_token_length,
        unk_token_id=model.embedding.unk_token_id,
        exporter=f"{PRODUCER} {version(PRODUCER)}",
    )


def _list(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)} for path in paths
    }
