"""Models on the Hugging Face Hub, through huggingface_hub and its cache."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m2v_onnx.errors import M2vOnnxError, MissingExtraError, ModelNotFoundError
from m2v_onnx.models.bundle import Precision, graph_in, read_config
from m2v_onnx.models.format import BAG, CARD, CONFIG, GOLDEN, MANIFEST, ONE, PROBES, TABLE, TOKENIZER

SOURCE_PATTERNS = (
    CONFIG,
    "config_sentence_transformers.json",
    "model.safetensors",
    "head.safetensors",
    "pipeline.skops",
    "tokenizer.json",
    "0_StaticEmbedding/*",
    "README.md",
)
"""The files of a Model2Vec model, in any layout."""

NEEDED = (BAG, ONE, TABLE, TOKENIZER)
"""Of a bundle, without which it does not run in the usual ways."""

BESIDE_VARIANT = (TOKENIZER, GOLDEN, PROBES, CARD)
"""Of a bundle, what goes with a graph in another precision, whose table is inside."""

TENSORS = ("model.safetensors", "0_StaticEmbedding/model.safetensors")
"""Where a Model2Vec model has its table, in any layout."""

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


REASON_LINES = 3
"""Lines of huggingface_hub's own errors that are worth passing on: a code, an empty one, what it stands for."""


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit, on disk.

    :ivar folder: where its files are, the subfolder included.
    :ivar revision: the commit.
    """

    folder: Path
    revision: str


def is_repo_id(name: str) -> bool:
    return _REPO_ID.fullmatch(name) is not None


def check_home() -> None:
    """:raises ModelNotFoundError: where huggingface_hub would make a folder named ``~`` in the working directory."""
    told = any(os.environ.get(name) for name in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"))
    if not told and os.path.expanduser("~") == "~":  # noqa: PTH111
        raise ModelNotFoundError(
            "there is no home folder to keep models of the Hub in: set HF_HOME to a folder that can be written"
        )


def download(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    subfolder: str | None = None,
    precision: Precision | None = None,
    force_download: bool = True,
    tried: Sequence[str] = (),
    bundle: bool = True,
) -> Snapshot:
    """Get a bundle where the repository has one and it is wanted, else a Model2Vec model's files.

    Without network, or with HF_HUB_OFFLINE=1, huggingface_hub's cached snapshot serves.

    :param precision: of a bundle's table: where it is not the bundle's own, only the graph that has it is downloaded.
    :param force_download: False to take a cached snapshot where there is one, without asking the Hub.
    :param tried: what the caller looked for before, for the error.
    :raises ModelNotFoundError: when the Hub does not have it, or cannot be reached.
    :raises InvalidModelError: when the bundle has no table in that precision.
    :raises MissingExtraError: without huggingface_hub.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError(
            f"{repo_id!r} is no file or folder here, and the Hugging Face Hub", "hub", "huggingface_hub"
        ) from error
    check_home()
    prefix = f"{subfolder.strip('/')}/" if subfolder else ""

    def fetch(patterns: Sequence[str], **options: Any) -> Path:
        allowed = [prefix + pattern for pattern in patterns]
        return Path(snapshot_download(repo_id, revision=revision, token=token, allow_patterns=allowed, **options))

    def files_of(config: Mapping[str, Any]) -> list[str]:
        """Those of a bundle that are wanted."""
        files = list(config[MANIFEST]["files"])
        graph = BAG if precision is None else graph_in(config, precision, repo_id)
        return files if graph == BAG else [graph, *(name for name in BESIDE_VARIANT if name in files)]

    def complete() -> Path:
        config = read_config(fetch([CONFIG]) / prefix) if bundle else {}
        return fetch([CONFIG, *files_of(config)] if MANIFEST in config else SOURCE_PATTERNS)

    def cached(needed: Sequence[str]) -> Path | None:
        """A snapshot on disk that has a source's table, or what is needed of a bundle; some files it may lack."""
        try:
            root = fetch([], local_files_only=True)  # asked for files, it would insist on all of them
        except LocalEntryNotFoundError:
            return None
        here = root / prefix
        if bundle and MANIFEST in (config := read_config(here)):
            wanted = files_of(config)
            needed = [name for name in wanted if name in needed or name not in config[MANIFEST]["files"]]
            return root if all((here / name).is_file() for name in needed) else None
        return root if any((here / place).is_file() for place in TENSORS) else None

    try:
        root = None if force_download else cached(NEEDED)
        if root is None:
            try:
                root = complete()
            except LocalEntryNotFoundError:  # no network, or HF_HUB_OFFLINE=1
                root = cached([])  # whatever it lacks is named when it is opened
                if root is None:
                    raise
    except M2vOnnxError:
        raise
    except Exception as error:  # its own, and those of its HTTP library, which changes with its version
        looked = "".join(f"{place}; " for place in tried)
        raise ModelNotFoundError(
            f"no model {repo_id!r}: {looked}the Hub did not give it: {reason(error, revision)};"
            f" or run `m2v-onnx export {repo_id} OUT` where there is network and copy the folder OUT here"
        ) from None  # its own traceback is a hundred lines of HTTP; the reason is in the message
    return Snapshot(root / prefix, root.name)


CHECK = "check the name, the token and the network"


def reason(error: Exception, revision: str | None) -> str:
    """What the Hub's client complains of, in a few words, and what to check."""
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, RevisionNotFoundError):
        return f"it has no revision {revision!r}: check its name"
    if isinstance(error, RepositoryNotFoundError):
        return "it has no repository of that name, or a private one: check the name, or give a token"
    if isinstance(error, LocalEntryNotFoundError):
        # Older clients say so of a private repository, too.
        return f"it cannot be reached, or HF_HUB_OFFLINE is set, and its cache has no complete copy: {CHECK}"
    lines = " ".join(line for line in str(error).splitlines()[:REASON_LINES] if line).rstrip(".")
    return f"{lines}: {CHECK}"
