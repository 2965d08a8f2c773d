"""The whole export, from a source to a checked bundle."""

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import ModelProto
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from m2v_export.bundle.card import card
from m2v_export.bundle.check import Differences, check_bundle, check_variant
from m2v_export.bundle.check_text import check_text_ids
from m2v_export.bundle.companions import config, tokenizer_files, write_tokenizer
from m2v_export.bundle.golden import TEXTS, dump, golden, probes_of, vectors_of
from m2v_export.bundle.ort import write_ort
from m2v_export.bundle.write import new_folder, write_graph, write_single_file, write_table
from m2v_export.graphs.kinds import bag_graph, one_graph, padded_graph, plain_graph
from m2v_export.source.memory import give_back_freed, let_go
from m2v_export.source.model import Source, is_source, read_folder, read_static_model
from m2v_export.source.model import read_tokenizer as read_tokenizer_file
from m2v_export.source.outside import Stored
from m2v_export.source.precision import PRECISIONS
from m2v_export.source.reduce import reduced
from m2v_export.text import Limits, UnsupportedTokenizer, read_tokenizer, text_graph, without_vectors
from m2v_onnx.errors import ExportError, InvalidModelError, ModelNotFoundError
from m2v_onnx.limits import UNSET, Unset, token_limit
from m2v_onnx.models import hub
from m2v_onnx.models.bundle import read_bundle, sha256, variants_here
from m2v_onnx.models.format import (
    BAG,
    CARD,
    CONFIG,
    EXTRA,
    FORMAT_VERSION,
    GOLDEN,
    GRAPHS,
    KIND,
    MANIFEST,
    ONE,
    PADDED,
    PLAIN,
    PROBES,
    PRODUCER,
    TABLE,
    TEXT,
    TOKENIZER,
    VARIANTS,
)
from m2v_onnx.models.locate import MODELS_INSIDE, expanded, model_inside
from m2v_onnx.models.metadata import Metadata
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens

if TYPE_CHECKING:
    from model2vec import StaticModel
    from model2vec.inference import StaticModelPipeline


FORMATS = ("onnx", "ort")

IDS = "onnx/ids.onnx"
"""text.onnx without its vectors, while it is checked: all rows of a table would come into memory for thousands of texts
that have any token."""


@dataclass(frozen=True)
class Report:
    """What an export wrote and measured.

    :ivar folder: the bundle.
    :ivar files: {path: {"size": bytes, "sha256": hexadecimal}}, those in other precisions among them.
    :ivar differences: to model2vec and to the golden vectors.
    :ivar notes: what was left out, and why.
    """

    folder: Path
    files: dict[str, dict[str, Any]]
    differences: Differences
    notes: list[str]


def export_model(
    source: "str | Path | StaticModel | StaticModelPipeline",
    out: str | Path,
    *,
    normalize: bool | None = None,
    max_length: int | Unset | None = UNSET,
    single_file: bool = False,
    precision: str | None = None,
    all_precisions: bool = False,
    format: str = "onnx",
    dimensions: int | None = None,
    vocabulary_quantization: int | None = None,
    name: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
) -> Report:
    """Write a Model2Vec model as a bundle, and check it against model2vec.

    :param source: a folder in any layout that model2vec reads, a Hub id, a ``StaticModel`` or a
        ``StaticModelPipeline``.
    :param out: the bundle's folder; it must not exist.
    :param normalize: whether vectors are divided by their L2 norm; the source's own setting by default.
    :param max_length: tokens that a text is truncated to, None for no limit; the source's own setting by default.
    :param single_file: put the table into each graph, where one file is wanted.
    :param precision: "float32", "float16", "int8" or "int4" for the table; the source's own by default.
    :param all_precisions: add model.onnx in float16, int8 and int4, under the names that transformers.js asks for.
    :param format: "ort" to add each graph in onnxruntime's own format, and the list of their operators.
    :param dimensions: keep the first so many; all by default.
    :param vocabulary_quantization: cluster the rows into so many, by model2vec; none by default.
    :param name: the source's name in the card; the Hub id or folder's name by default.
    :param revision: a commit, branch or tag on the Hub; for a folder, what to write into the card.
    :param token: the Hub's access token.
    :param subfolder: a folder inside the source.
    :return: what was written and measured.
    :raises ModelNotFoundError: when there is no such source.
    :raises InvalidModelError: when the source is damaged, or its parts do not fit.
    :raises ValueError: for a max_length, dimensions or the like that is no such number, for another format, or for a
        precision together with all of them.
    :raises ExportError: when precision or dimensions do not suit the source, the output cannot be written or fails
        the check; nothing is left behind.
    :raises MissingExtraError: when clustering needs scikit-learn.
    """
    if all_precisions and precision is not None:
        raise ValueError(
            f"precision {precision!r} and all_precisions: model.onnx keeps the source's own precision beside the"
            " others, as the Hub expects it: give one of the two"
        )
    if format not in FORMATS:
        raise ValueError(f"format: expected {' or '.join(FORMATS)}, got {format!r}")
    model = _read(source, name, revision, token, subfolder)
    model = replace(
        model,
        normalize=model.normalize if normalize is None else normalize,
        max_length=model.max_length if isinstance(max_length, Unset) else token_limit(max_length),
        precision=precision,
    )
    model = reduced(model, dimensions, vocabulary_quantization)
    out = Path(out)
    with new_folder(out) as folder:
        notes = _write_model(folder, model, single_file)
        _check_ids(folder, model)
        if format == "ort":
            write_ort(folder)
        differences = _checked_bundle(folder, model)
        if all_precisions:
            cosines, more = _write_variants(folder, model)
            differences, notes = replace(differences, variants=cosines), [*notes, *more]
        files = _list(folder)
        (folder / CARD).write_bytes(card(model, files, differences, notes))
        files = _list(folder)
        graphs = {engines: [path for path in paths if path in files] for engines, paths in GRAPHS.items()}
        manifest: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "graphs": graphs,
            KIND: type(model.tokenizer.model).__name__,
            "files": {path: entry for path, entry in files.items() if path not in EXTRA},
        }
        extra = {path: entry for path, entry in files.items() if path in EXTRA}
        if extra:
            manifest["variants"] = extra
        (folder / CONFIG).write_bytes(config(model, single_file, MANIFEST, manifest))
    return Report(out, files, differences, notes)


def verify_bundle(
    bundle: str | Path, source: "str | Path | StaticModel | StaticModelPipeline | None" = None
) -> Differences:
    """Check a bundle's files against their sha256 and its graphs against its golden texts.

    :param bundle: its folder, or the name of a model inside the package.
    :param source: the Model2Vec model to compare with; None to leave that comparison out.
    :raises ModelNotFoundError, InvalidModelError: when it is no bundle, or a file was changed or damaged.
    :raises ExportError: when ids or vectors differ.
    """
    from m2v_onnx.models.bundle import check_sha256

    folder = Path(bundle)
    files = read_bundle(folder) if folder.is_dir() else None
    if files is None and folder.as_posix() in MODELS_INSIDE:
        files = model_inside(folder.as_posix())
        folder = files.folder
    if files is None:
        raise ModelNotFoundError(f"{folder} is no bundle: expected a folder that `m2v-onnx export` wrote")
    check_sha256(files)
    try:
        normalize, max_length, precision = (files.config[k] for k in ("normalize", "max_length", "embedding_dtype"))
    except KeyError as error:
        raise InvalidModelError(f"{folder / CONFIG}: expected a key {error}: export the model again") from error
    reference = head = None
    if source is not None:
        model = replace(_read(source, None, None, None, None), normalize=normalize, max_length=max_length)
        rows, dim = model.table.shape
        # As it was made smaller; another model, which has less than that, will differ below.
        fewer_dimensions = files.config.get("hidden_dim", dim)
        fewer_rows = files.config.get("vocabulary_quantization", rows) if model.mapping is None else rows
        reference, head = (
            reduced(
                model,
                fewer_dimensions if fewer_dimensions < dim else None,
                fewer_rows if fewer_rows < rows else None,
            ).reference(),
            model.head,
        )
    tokenizer = read_tokenizer_file(folder / TOKENIZER)
    tokens = TokenizersTokens.of(tokenizer)
    if (folder / TEXT).is_file():
        check_text_ids(folder / TEXT, tokenizer, max_length)
    differences = check_bundle(folder, tokens, reference, precision, max_length, head)
    variants = [path for path in variants_here(files) if path in VARIANTS]
    return replace(differences, variants={path: check_variant(folder, path) for path in variants})


def _read(
    source: "str | Path | StaticModel | StaticModelPipeline",
    name: str | None,
    revision: str | None,
    token: str | None,
    subfolder: str | None,
) -> Source:
    if not isinstance(source, (str, Path)):
        return read_static_model(source, name)
    if not str(source):
        raise TypeError(f"expected a path, a Hub id or a StaticModel, got {source!r}")
    path = expanded(Path(source))
    if path.exists():
        return read_folder(path / subfolder if subfolder else path, name, revision or "")
    tried = [f"no file or folder {path}"]
    repo_id = source if isinstance(source, str) else source.as_posix()
    if not hub.is_repo_id(repo_id):
        raise ModelNotFoundError(f"no model {str(source)!r}: {tried[0]}; no name of a Hub repository (owner/name)")
    snapshot = hub.download(repo_id, revision=revision, token=token, subfolder=subfolder, tried=tried, bundle=False)
    if not is_source(snapshot.folder):
        raise ModelNotFoundError(f"the Hub's repository {repo_id} has no Model2Vec model: check its name and subfolder")
    return read_folder(snapshot.folder, name or repo_id, snapshot.revision)


def _write_model(folder: Path, model: Source, single_file: bool) -> list[str]:
    """Graphs, table, tokenizer and golden texts. :return: notes on what was left out."""
    embedding = model.embedding
    write_tokenizer(folder / TOKENIZER, model)
    for name, content in tokenizer_files(model).items():
        (folder / name).write_bytes(content)
    notes = []
    golden_texts = golden(model)
    (folder / GOLDEN).write_bytes(dump(golden_texts))
    probes = probes_of(model.tokens())
    if probes is not None:
        (folder / PROBES).write_bytes(probes)
    left_out = len(TEXTS) - len(golden_texts["texts"])
    if left_out:
        notes.append(
            f"{GOLDEN} lacks {left_out} of {len(TEXTS)} texts: the tokenizer has no unknown token, and refuses"
            " texts with characters that it has no token for."
        )
    (folder / BAG).parent.mkdir()
    let_go(model.table)  # of which the golden texts needed some rows
    text, tensors = None, embedding.tensors
    try:
        text, tensors = _text_graph(model, _without_pieces(model), folder / TOKENIZER)
    except UnsupportedTokenizer as error:
        notes.append(f"There is no {TEXT}, for the tokenizer cannot be put into a graph exactly: {error}.")
    if not single_file:
        write_table(folder / TABLE, tensors)

    def write(path: str, graph: ModelProto) -> None:
        if single_file:
            write_single_file(folder / path, graph, tensors)
        else:
            write_graph(folder / path, graph)

    write(BAG, bag_graph(embedding, _metadata(model, "bag").props()))
    write(ONE, one_graph(embedding, _metadata(model, "one").props()))
    write(PADDED, padded_graph(embedding, _metadata(model, "model").props()))
    write(PLAIN, plain_graph(embedding, _metadata(model, "plain").props()))
    if text is not None:
        write(TEXT, text)
        write(IDS, without_vectors(text))
    return notes


def _write_variants(folder: Path, model: Source) -> tuple[dict[str, float], list[str]]:
    """model.onnx in other precisions, each with its table inside.

    :return: of each the least cosine to the golden vectors; notes on what is not as its name says.
    """
    cosines, notes = {}, []
    for path, precision in VARIANTS.items():
        narrower = PRECISIONS.index(precision) > PRECISIONS.index(model.embedding.precision)
        variant = replace(model, precision=precision if narrower else None)
        try:
            embedding = variant.embedding
        except ExportError as error:  # float16 ends too early for its values
            notes.append(f"There is no {path}: {error}.")
            continue
        if embedding.precision != precision:
            notes.append(f"{path} has the source's own table, in {embedding.precision}: {precision} holds no more.")
        graph = padded_graph(embedding, _metadata(variant, "model").props())
        write_single_file(folder / path, graph, embedding.tensors)
        cosines[path] = check_variant(folder, path, vectors_of(golden(variant)["texts"]))
    return cosines, notes


def _without_pieces(model: Source) -> Tokenizer:
    """Take the source's tokenizer, which is not needed any more, without its model.

    Where it has some hundred thousand pieces there is not room for them, what tables are made of and, in the end, the
    bundle's tokenizer at once.
    """
    tokenizer = model.tokenizer
    for source in (model, model.origin):
        if source is not None:
            del source.tokenizer
    tokenizer.model = WordLevel({"": 0}, "")
    give_back_freed()
    return tokenizer


def _check_ids(folder: Path, model: Source) -> None:
    """With the bundle's own tokenizer, in the place of the source's, whose ids are in the golden texts."""
    give_back_freed()  # what tables were made of
    model.tokenizer = read_tokenizer_file(folder / TOKENIZER)
    if (folder / IDS).is_file():
        check_text_ids(folder / IDS, model.tokenizer, model.max_length)
        (folder / IDS).unlink()
        give_back_freed()


def _checked_bundle(folder: Path, model: Source) -> Differences:
    reference, precision = model.reference(), model.embedding.precision
    give_back_freed()  # what model2vec counted
    return check_bundle(folder, model.tokens(), reference, precision, model.max_length, model.head)


def _text_graph(model: Source, tokenizer: Tokenizer, path: Path) -> tuple[ModelProto, dict[str, Stored]]:
    """As ``text_graph``.

    :param tokenizer: see ``_without_pieces``. :param path: its tokenizer.json.
    :raises UnsupportedTokenizer: naming the part that cannot be in a graph.
    """
    return text_graph(
        model.embedding,
        read_tokenizer(tokenizer, json.loads(path.read_bytes())),
        limits=Limits.of(model.max_length, model.median_token_length, model.embedding.unk_token_id),
        metadata=_metadata(model, "text").props(),
    )


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
        activation=None if model.head is None else model.head.activation,
        labels=None if model.head is None else model.head.labels,
    )


def _list(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)} for path in paths
    }
