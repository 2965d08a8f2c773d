"""Holding a bundle against model2vec and against its own golden.json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from m2v_export.golden import vectors_of
from m2v_onnx.errors import ExportError, InvalidModelError
from m2v_onnx.format import BAG, GOLDEN, PADDED
from m2v_onnx.session import SessionConfig
from m2v_onnx.tokens import TokenizersTokens, drop, split

if TYPE_CHECKING:
    from model2vec import StaticModel

Vectors = npt.NDArray[np.float32]

REFERENCE_TOLERANCE = {"float32": 1e-6, "int8": 1e-6, "float16": 1e-3}
"""How near model2vec comes to the exact vectors: with a float16 table it rounds its result to float16. For vectors
with values above 1, times the largest."""


@dataclass(frozen=True)
class Differences:
    """The largest absolute differences over all golden texts.

    :ivar graphs: of each graph to the golden vectors.
    :ivar model2vec: of the golden vectors to model2vec; None where that was not asked.
    """

    graphs: dict[str, float]
    model2vec: float | None

    @property
    def largest(self) -> float:
        return max([*self.graphs.values(), self.model2vec or 0.0])


def check_bundle(folder: Path, reference: "StaticModel | None", precision: str, max_length: int | None) -> Differences:
    """Run every graph of a bundle on the golden texts, from the bundle's own files.

    :param reference: the model in model2vec, or None to leave that comparison out.
    :raises ExportError: when ids or vectors differ.
    """
    golden = read_golden(folder / GOLDEN)
    texts, expected = [entry["text"] for entry in golden["texts"]], vectors_of(golden["texts"])
    ids = [entry["input_ids"] for entry in golden["texts"]]
    tokens = TokenizersTokens.read(folder / "tokenizer.json")
    flat, offsets = tokens.ids(texts, max_length)
    _same_ids(texts, split(*drop(flat, offsets, tokens.unk_token_id)), ids, "tokenizer.json")
    graphs = {}
    for name, run in ((BAG, _run_bag), (PADDED, _run_padded)):
        found = run(folder / name, split(flat, offsets))
        graphs[name] = _difference(found, expected, golden["tolerance"], name)
    distance = None
    if reference is not None:
        cut = texts if max_length is None else [t[: max_length * reference.median_token_length] for t in texts]
        _same_ids(texts, reference.tokenize(cut), ids, "model2vec")
        theirs = np.asarray(reference.encode(texts), np.float32)
        tolerance = REFERENCE_TOLERANCE[precision] * max(1.0, float(np.abs(expected).max()))
        distance = _difference(theirs, expected, tolerance, "model2vec")
    return Differences(graphs, distance)


def read_golden(path: Path) -> dict[str, Any]:
    """:raises InvalidModelError: when it is damaged."""
    try:
        golden: dict[str, Any] = json.loads(path.read_bytes())
        for entry in golden["texts"]:
            entry["text"], entry["input_ids"], entry["sentence_embedding"]
        float(golden["tolerance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidModelError(f"{path}: expected golden texts ({error!r}): export the bundle again") from error
    return golden


def _run_bag(graph: Path, ids: Sequence[Sequence[int]]) -> Vectors:
    flat = np.array([i for text in ids for i in text], np.int64)
    lengths = np.array([len(text) for text in ids], np.int64)
    feeds = {"input_ids": flat, "offsets": np.cumsum(lengths) - lengths}
    vectors: Vectors = SessionConfig().open(graph).run(["sentence_embedding"], feeds)[0]
    return vectors


def _run_padded(graph: Path, ids: Sequence[Sequence[int]]) -> Vectors:
    """Text by text: the widths of the golden texts differ by thousands."""
    session = SessionConfig().open(graph)
    rows = []
    for text in ids:
        grid = np.array([text], np.int64).reshape(1, -1)
        feeds = {"input_ids": grid, "attention_mask": np.ones_like(grid)}
        rows.append(session.run(["sentence_embedding"], feeds)[0])
    return np.concatenate(rows)


def _same_ids(texts: Sequence[str], found: Sequence[Sequence[int]], expected: Sequence[Any], where: str) -> None:
    for text, got, want in zip(texts, found, expected, strict=True):
        if list(got) != list(want):
            raise ExportError(f"{where} gives other token ids for {text[:60]!r}: expected {want[:20]}, got {got[:20]}")


def _difference(found: Vectors, expected: Vectors, tolerance: float, where: str) -> float:
    """:raises ExportError: when it is more than the tolerance, or NaN."""
    if found.shape != expected.shape:
        raise ExportError(f"{where} gives vectors {list(found.shape)}, expected {list(expected.shape)}")
    largest = float(np.abs(found.astype(np.float64) - expected).max(initial=0))
    if not largest <= tolerance:
        raise ExportError(f"{where} differs from the golden vectors by {largest:.2g}, expected at most {tolerance:.0e}")
    return largest
