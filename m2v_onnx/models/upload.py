"""A bundle to the Hugging Face Hub: one commit with its files and its card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m2v_onnx.errors import M2vOnnxError, MissingExtraError, ModelNotFoundError, UploadError
from m2v_onnx.models import hub
from m2v_onnx.models.bundle import ModelFiles, check_sha256, check_size, check_sizes, read_bundle
from m2v_onnx.models.format import CARD, CONFIG, MANIFEST

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARDS_PLACE = '"path/to/this/folder"'
"""What the card's examples open; on the Hub that is the repository's name."""

ALWAYS_THERE = (".gitattributes",)
"""What the Hub puts into a new repository."""


@dataclass(frozen=True)
class Upload:
    """What was sent, or would be.

    :ivar repo_id: the repository.
    :ivar files: {path: size in bytes} of the commit.
    :ivar removed: files of the bundle that was there, which this one has not.
    :ivar left_here: files in the folder that are none of the bundle's.
    :ivar exists: whether the repository was there before.
    :ivar private: whether it is, or will be.
    :ivar url: of the commit; None for a dry run.
    """

    repo_id: str
    files: Mapping[str, int]
    removed: tuple[str, ...]
    left_here: tuple[str, ...]
    exists: bool
    private: bool
    url: str | None


@dataclass(frozen=True)
class _Repository:
    """:ivar private: None where it is not there. :ivar files: all. :ivar bundle: those of the bundle in it, or None."""

    private: bool | None
    files: frozenset[str]
    bundle: frozenset[str] | None


def push_bundle(
    bundle: str | Path,
    repo_id: str,
    *,
    public: bool = False,
    revision: str | None = None,
    token: str | None = None,
    message: str | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Upload:
    """Upload a bundle as a repository of the Hub, in one commit: all of it is there, or nothing.

    After a broken connection do the same again: large files that arrived are not sent a second time.

    :param bundle: its folder.
    :param repo_id: "owner/name". A new repository is private, unless ``public``.
    :param public: allow everyone to read it: needed for a new public repository, and for one that is public already.
    :param revision: a branch that exists; the main one by default.
    :param token: the Hub's access token, with the right to write; by default huggingface_hub's own.
    :param message: of the commit.
    :param force: also into a repository with other things than a bundle, some of which may be replaced.
    :param dry_run: only say what would be done. Nothing is written; the Hub is asked what is there.
    :raises ModelNotFoundError: when there is no bundle.
    :raises InvalidModelError: when a file of it was changed, damaged or is missing.
    :raises UploadError: when the Hub or what is there forbids it.
    :raises MissingExtraError: without huggingface_hub.
    """
    files = _whole_bundle(Path(bundle).expanduser())
    if not hub.is_repo_id(repo_id):
        raise ValueError(f"expected the name of a Hub repository, owner/name, got {repo_id!r}")
    try:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
    except ImportError as error:
        raise MissingExtraError("to push", "hub", "huggingface_hub") from error
    hub.check_home()
    api = HfApi(token=token)
    contents = _contents(files, repo_id)
    try:
        there = _look(api, repo_id, revision)
        _may_push(there, repo_id, public, force)
        if there.private is None and revision not in (None, "main"):
            raise UploadError(f"{repo_id} would be a new repository, which has no branch {revision!r}: leave it out")
        removed = sorted((there.bundle or frozenset()) & there.files - set(contents))
        upload = Upload(
            repo_id=repo_id,
            files={name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in contents.items()},
            removed=tuple(removed),
            left_here=tuple(sorted(_in_folder(files.folder) - set(contents))),
            exists=there.private is not None,
            private=not public if there.private is None else there.private,
            url=None,
        )
        if dry_run:
            return upload
        if not upload.exists:
            api.create_repo(repo_id, private=not public, exist_ok=False)
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, content) for name, content in contents.items()),
                *(CommitOperationDelete(name) for name in removed),
            ],
            commit_message=message or f"Upload {_title(files)} in ONNX",
            revision=revision,
        )
    except M2vOnnxError:
        raise
    except Exception as error:  # its own, and those of its HTTP library, which changes with its version
        raise UploadError(
            f"the Hub did not take {repo_id!r}: {hub.reason(error, revision)}; run the command again to go on:"
            " files that arrived are not sent a second time"
        ) from None
    return Upload(**{**vars(upload), "url": commit.commit_url})


def _whole_bundle(folder: Path) -> ModelFiles:
    files = read_bundle(folder) if folder.is_dir() else None
    if files is None:
        raise ModelNotFoundError(f"{folder} is no bundle: expected a folder that `m2v-onnx export` wrote")
    check_sizes(files)
    for name, entry in files.variants.items():  # a snapshot of the Hub may lack them, and would push half of it
        check_size(folder / name, entry["size"])
    check_sha256(files)
    return files


def _contents(files: ModelFiles, repo_id: str) -> dict[str, Path | bytes]:
    """The files by their paths in the repository. The card's examples open it by its name there, so that the card's
    entry in config.json is another one, too."""
    contents: dict[str, Path | bytes] = {name: files.folder / name for name in (*files.manifest, *files.variants)}
    config = json.loads((files.folder / CONFIG).read_text(encoding="utf-8"))
    if CARD in files.manifest:
        from hashlib import sha256

        text = (files.folder / CARD).read_text(encoding="utf-8").replace(CARDS_PLACE, f'"{repo_id}"')
        card = contents[CARD] = text.encode()
        config[MANIFEST]["files"][CARD] = {"size": len(card), "sha256": sha256(card).hexdigest()}
    contents[CONFIG] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return contents


def _look(api: "HfApi", repo_id: str, revision: str | None) -> _Repository:
    """What the Hub has by that name."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        facts = api.model_info(repo_id, revision=revision)
    except RepositoryNotFoundError:
        return _Repository(None, frozenset(), None)
    names = frozenset(sibling.rfilename for sibling in facts.siblings or ())
    bundle = None
    if CONFIG in names:
        config = _read_json(Path(api.hf_hub_download(repo_id, CONFIG, revision=facts.sha)))
        manifest = config.get(MANIFEST)
        if isinstance(manifest, dict):
            listed = [manifest.get(key) or {} for key in ("files", "variants")]
            bundle = frozenset([CONFIG, *(name for part in listed for name in part)])
    return _Repository(bool(facts.private), names, bundle)


def _may_push(there: _Repository, repo_id: str, public: bool, force: bool) -> None:
    """:raises UploadError: where something would be shown or replaced that nobody asked for."""
    if there.private is False and not public:
        raise UploadError(f"{repo_id} is there already and public: give --public to push where everyone can read it")
    others = there.files - set(ALWAYS_THERE)
    if others and there.bundle is None and not force:
        some = ", ".join(sorted(others)[:5])
        raise UploadError(
            f"{repo_id} is there already and holds no bundle but {some}: push under another name, or give --force to"
            " add the bundle to it; its own config.json, README.md and tokenizer.json would be replaced"
        )


def _read_json(path: Path) -> dict[str, Any]:
    """{} for what is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _title(files: ModelFiles) -> str:
    """The model's name, out of the card's heading."""
    lines = (files.folder / CARD).read_text(encoding="utf-8").splitlines() if CARD in files.manifest else []
    headings = [line[2:].removesuffix(" in ONNX") for line in lines if line.startswith("# ")]
    return headings[0] if headings else files.folder.name


def _in_folder(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
