"""Where a model comes from: a name becomes files, or an error that says what was tried.

In this order: a file or folder; a model that comes with the package; the Hugging Face Hub.
"""

from pathlib import Path
from typing import TypedDict, Unpack, get_args

from m2v_onnx.errors import InvalidModelError, ModelNotFoundError
from m2v_onnx.models.bundle import ModelFiles, Precision, read_bundle, read_foreign, read_graph_file

DEFAULT_MODEL = "minishlab/potion-base-8M"
"""What pymilvus.model takes where no model is named."""

MODELS_INSIDE = (DEFAULT_MODEL, "minishlab/potion-base-2M")
"""The models inside the wheel; their tables are int8."""


CLOSE = 0.9
"""How alike two names are that are taken for one mistyped, as difflib measures it: one letter of ten."""


class LocateOptions(TypedDict, total=False):
    """Which version of a model.

    :ivar subfolder: a folder inside the folder or the Hub's repository.
    :ivar revision: a commit, branch or tag on the Hub.
    :ivar token: the Hub's access token.
    :ivar precision: of the table, "float32", "float16", "int8" or "int4"; by default the bundle's own, or the source's.
    :ivar force_download: False to take a cached snapshot where there is one, without asking the Hub for a newer one.
    """

    subfolder: str | None
    revision: str | None
    token: str | None
    precision: Precision | None
    force_download: bool


def locate(model_source: str | Path, **options: Unpack[LocateOptions]) -> ModelFiles:
    """Find a model's files; download and export them where that is needed.

    :raises ModelNotFoundError: when there is nothing by that name; says what was tried.
    :raises InvalidModelError: when there is something, and it is damaged.
    :raises MissingExtraError: when an optional package is needed for it.
    """
    if not isinstance(model_source, (str, Path)) or not str(model_source):
        raise TypeError(f"expected a path or a Hub id, got {model_source!r}")
    name = model_source if isinstance(model_source, str) else model_source.as_posix()
    subfolder, precision = options.get("subfolder"), options.get("precision")
    if precision not in (None, *get_args(Precision)):
        raise ValueError(f"precision: expected one of {', '.join(get_args(Precision))}, got {precision!r}")
    given = expanded(Path(model_source))
    # Some files are opened only when they are needed, whatever the working directory is then.
    path = given.absolute()
    if path.is_file():
        if path.suffix != ".onnx":
            raise InvalidModelError(f"{path}: expected a model's folder or an .onnx file")
        if precision is not None:
            raise ValueError(
                f"precision {precision!r}: {path} is one graph and has one: leave it out, or give a bundle"
            )
        return read_graph_file(path)
    if path.is_dir():
        return _read_folder(path / subfolder if subfolder else path, precision)
    if name in MODELS_INSIDE and not subfolder and not options.get("revision"):
        files = model_inside(name)
        return files if precision is None else files.in_precision(precision)
    tried = [f"no file or folder {given}", f"not one of the models inside m2v-onnx, {', '.join(MODELS_INSIDE)}"]
    if name in MODELS_INSIDE:
        tried[1] = f"the copy of {name} inside m2v-onnx has no revisions or subfolders: leave these out for it"
    elif (close := _close_to(name)) is not None:
        tried[1] += f" (do you mean {close}?)"
    from m2v_onnx.models import hub  # here, as what is on this machine needs none of it
    from m2v_onnx.models.cache import exported

    if not hub.is_repo_id(name):
        raise ModelNotFoundError(f"no model {name!r}: {'; '.join(tried)}; no name of a Hub repository (owner/name)")
    snapshot = hub.download(
        name,
        revision=options.get("revision"),
        token=options.get("token"),
        precision=precision,
        subfolder=subfolder,
        force_download=options.get("force_download", True),
        tried=tried,
    )
    bundle = read_bundle(snapshot.folder)
    if bundle is None:
        return exported(snapshot.folder, name=name, revision=snapshot.revision, precision=precision)
    return bundle if precision is None else bundle.in_precision(precision)


def expanded(path: Path) -> Path:
    """:raises ModelNotFoundError: for ~ where there is no home folder."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ModelNotFoundError(f"{path}: there is no home folder: give the whole path, or set HOME") from error


def _close_to(name: str) -> str | None:
    """The model inside that a mistyped name means, its owner left out or not."""
    from difflib import get_close_matches

    names = {form.lower(): inside for inside in MODELS_INSIDE for form in (inside, inside.rpartition("/")[2])}
    found = get_close_matches(name.lower(), names, 1, CLOSE)
    return names[found[0]] if found else None


def model_inside(name: str) -> ModelFiles:
    """A model inside the wheel; in a source tree, one in models/.

    :param name: one of ``MODELS_INSIDE``.
    :raises ModelNotFoundError: when the installation lacks it.
    """
    package, folder_name = Path(__file__).parents[1], name.rpartition("/")[2]
    tried = (package / "bundled" / folder_name, package.parent / "models" / f"{folder_name}-onnx")
    for folder in tried:
        if folder.is_dir() and (files := read_bundle(folder)):
            return files
    raise ModelNotFoundError(f"the bundle of {name} is in none of {', '.join(map(str, tried))}: reinstall m2v-onnx")


def _read_folder(folder: Path, precision: Precision | None) -> ModelFiles:
    files = read_bundle(folder)
    if files:
        return files if precision is None else files.in_precision(precision)
    from m2v_onnx.models.cache import exported
    from m2v_onnx.models.hub import TENSORS

    if any((folder / place).is_file() for place in TENSORS):
        return exported(folder, precision=precision)
    files = read_foreign(folder)
    if files:
        if precision is not None:
            raise ValueError(f"precision {precision!r}: {folder} is no bundle: give the .onnx file that has it")
        return files
    found = sorted(path.name for path in folder.iterdir())[:10] if folder.is_dir() else "no such folder"
    raise ModelNotFoundError(
        f"{folder}: expected a bundle (m2v-onnx export SOURCE OUT writes one), a Model2Vec folder with"
        f" model.safetensors and tokenizer.json, or an .onnx file with tokenizer.json; found {found}"
    )
