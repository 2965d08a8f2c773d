"""The material beside the working copy, ../shared: models and texts too large for the repository."""

import json
import sys
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"

MODELS = (
    "potion-base-2M",
    "minilm-256",
    "minilm-256-vq4096",
    "model2vec-rs-fixtures/test-model-float32",
    "model2vec-rs-fixtures/test-model-float16",
    "model2vec-rs-fixtures/test-model-int8",
    "model2vec-rs-fixtures/test-model-sentence-transformers",
    "model2vec-rs-fixtures/test-model-vocab-quantized",
)


def need_shared() -> None:
    """Leave with a word where it is absent."""
    if not SHARED.is_dir():
        sys.exit(f"{SHARED} is absent: this check needs the models and texts that are kept there")


def lines(name: str) -> list[str]:
    """The lines of a text, by its path below ``data``."""
    return (SHARED / "data" / name).read_text(encoding="utf-8").splitlines()


def naughty_strings() -> list[str]:
    strings: list[str] = json.loads((SHARED / "data" / "unicode" / "blns.json").read_text(encoding="utf-8"))
    return strings
