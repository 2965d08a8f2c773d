"""Bundles of Model2Vec folders, exported on first use."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from m2v_onnx.errors import ExportError, InvalidModelError, MissingExtraError
from m2v_onnx.models.bundle import ModelFiles, Precision, check_sizes, read_bundle
from m2v_onnx.models.format import CACHE_VARIABLE, PRODUCER
from m2v_onnx.models.hub import SOURCE_PATTERNS


def cache_folder() -> Path:
    """Where exported bundles are kept: M2V_ONNX_CACHE, or the platform's folder for such.

    :raises ExportError: where the user has no home folder, and nothing else says where.
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        base = Path(given)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return base.expanduser() if given else base.expanduser() / PRODUCER
    except RuntimeError as error:  # a container's user without a name, and HOME is not set
        raise ExportError(
            f"{base}: there is no home folder to keep exported models in: set {CACHE_VARIABLE} to a folder that can be"
            " written, by its whole path"
        ) from error


def exported(
    folder: Path, *, name: str | None = None, revision: str = "", precision: Precision | None = None
) -> ModelFiles:
    """The bundle of a Model2Vec folder, from the cache where its files have not changed since.

    :param name: the source's name for the card; the folder's by default.
    :param precision: of the table; the source's own by default.
    :raises InvalidModelError: when the source is damaged.
    :raises MissingExtraError: when it must be exported and the exporter's packages are not installed.
    """
    of_precision = f"-{precision}" if precision else ""
    target = cache_folder() / f"{folder.resolve().name}-{_fingerprint(folder)}{of_precision}"
    try:
        files = read_bundle(target) if target.is_dir() else None
        if files:
            check_sizes(files)
    except InvalidModelError as error:
        raise InvalidModelError(f"{error}; or delete {target}, and it is exported again") from error
    if files:
        return files
    for package in ("onnx", "model2vec"):
        if find_spec(package) is None:
            raise MissingExtraError(f"{folder} is a Model2Vec model and no bundle: to export it", "export", package)
    import logging

    from m2v_export import export_model

    log = logging.getLogger("m2v_onnx")
    log.info("%s is a Model2Vec model and no bundle: it is exported, this once, into %s", folder, target)
    try:
        export_model(folder, target, name=name, revision=revision or None, precision=precision)
    except ExportError as error:
        if not target.is_dir():  # else another process was faster
            raise ExportError(
                f"{error}. That is the cache of exported models: set {CACHE_VARIABLE} to a folder that can be written,"
                f" or export {folder} yourself"
            ) from error
    files = read_bundle(target)
    assert files is not None
    return files


def _fingerprint(folder: Path) -> str:
    """Changes with the files' places, sizes and times, and with the exporter."""
    # Imported here: together they cost 20 ms, and a bundle needs neither.
    import hashlib
    from importlib.metadata import version

    digest = hashlib.sha256(f"{folder.resolve()} {version(PRODUCER)}".encode())
    for path in sorted(path for pattern in SOURCE_PATTERNS for path in folder.glob(pattern)):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
