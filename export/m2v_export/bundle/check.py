"""Holding a bundle against model2vec and against its own golden.json."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from m2v_export.bundle.golden import TOLERANCE, vectors_of
from m2v_export.source.head import OUTPUTS, Head
from m2v_onnx.errors import ExportError, InvalidModelError
from m2v_onnx.models.format import BAG, EMBEDDING, GOLDEN, ONE, ORT_GRAPHS, PADDED, PLAIN, TEXT, VARIANTS
from m2v_onnx.vectors.by_graph import pack
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from m2v_onnx.vectors.ragged import drop, split
from m2v_onnx.vectors.session import SessionConfig

if TYPE_CHECKING:
    from model2vec import StaticModel

Vectors = npt.NDArray[np.float32]

REFERENCE_TOLERANCE = {"float32": 1e-6, "int8": 1e-6, "float16": 1e-3}
"""How near model2vec comes to the exact vectors: with a float16 table it rounds its result to float16. For vectors
with values above 1, times the largest."""

LEAST_COSINE = {"float16": 0.999999, "int8": 0.9995, "int4": 0.97}
"""How near a table that was made smaller comes to model2vec on the table that it was made from, at least: a text's
cosine. Single rows are the worst texts, for over several the errors cancel out; of all rows of potion-base-2M and
minilm-256 the worst have 0.99999995, 0.9999 and 0.985."""

HEAD_TOLERANCE = 1e-5
"""How near a head's outputs must come: it multiplies what its input is off by its weights. Some 1e-7 is what is seen.
For outputs above 1, times the largest."""


@dataclass(frozen=True)
class Differences:
    """The largest absolute differences over all golden texts.

    :ivar graphs: of each graph to the golden vectors.
    :ivar model2vec: of the golden vectors to model2vec; None where that was not asked.
    :ivar heads: of each graph's probabilities or predictions to the golden ones, and of model2vec's; {} without a head.
    :ivar cosine: the least of a golden vector to model2vec's, where the table was made smaller.
    :ivar variants: of each graph in another precision the least cosine to a golden vector.
    """

    graphs: dict[str, float]
    model2vec: float | None
    cosine: float | None = None
    heads: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, float] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        return max([*self.graphs.values(), self.model2vec or 0.0])

    @property
    def bound(self) -> float:
        """What no graph's difference to model2vec exceeds: a power of ten, at least the tolerance that all exports
        are held to, for what is below it changes with the processor."""
        farthest = max(self.graphs.values()) + (self.model2vec or 0.0)
        return 10.0 ** ceil(log10(max(farthest, TOLERANCE)))


def check_bundle(
    folder: Path,
    tokens: TokenizersTokens,
    reference: "StaticModel | None",
    precision: str,
    max_length: int | None,
    head: Head | None = None,
) -> Differences:
    """Run every graph of a bundle on the golden texts, from the bundle's own files.

    :param tokens: of the bundle's tokenizer.json.
    :param reference: the model in model2vec, or None to leave that comparison out.
    :param head: the reference's, where it has one.
    :raises ExportError: when ids or vectors differ.
    """
    golden = read_golden(folder / GOLDEN)
    texts, expected = [entry["text"] for entry in golden["texts"]], vectors_of(golden["texts"])
    ids = [entry["input_ids"] for entry in golden["texts"]]
    flat, offsets = tokens.ids(texts, max_length)
    _same_ids(texts, split(*drop(flat, offsets, tokens.unk_token_id)), ids, "tokenizer.json")
    made = next((output for output in OUTPUTS.values() if output in golden["texts"][0]), None)
    outputs = [EMBEDDING] if made is None else [EMBEDDING, made]
    with_unknown = split(flat, offsets)
    runs: dict[str, Callable[[Path], list[Vectors]]] = {
        BAG: lambda path: _run_bag(path, with_unknown, outputs),
        PADDED: lambda path: _run_padded(path, with_unknown, outputs),
        PLAIN: lambda path: _run_padded(path, with_unknown, outputs),
        ONE: lambda path: _run_one(path, ids),
        TEXT: lambda path: _run_text(path, texts, outputs),
    }
    paths = {graph: graph for graph in runs} | ORT_GRAPHS
    found = {path: runs[graph](folder / path) for path, graph in paths.items() if (folder / path).is_file()}
    graphs = {name: _difference(of[0], expected, golden["tolerance"], name) for name, of in found.items()}
    heads = {}
    if made is not None:
        results = vectors_of(golden["texts"], made)
        for name, of in found.items():
            if len(of) == 1:  # the graph for one text has none
                continue
            heads[name] = _difference(of[1], results, _head_tolerance(results), f"{name}, {made}")
    distance = cosine = None
    if reference is not None:
        cut = texts if max_length is None else [t[: max_length * reference.median_token_length] for t in texts]
        theirs = np.asarray(reference.encode(texts), np.float32)
        # After encode, which sets the tokenizer to truncate at the model's max_length.
        _same_ids(texts, reference.tokenize(cut), ids, "model2vec")
        if precision == reference.embedding.dtype.name:
            tolerance = REFERENCE_TOLERANCE[precision] * max(1.0, float(np.abs(expected).max()))
            distance = _difference(theirs, expected, tolerance, "model2vec")
            if head is not None and made is not None:
                theirs = head.in_model2vec().predict_proba(reference.encode(texts)).astype(np.float32)
                tolerance = _head_tolerance(results) * REFERENCE_TOLERANCE[precision] / TOLERANCE
                heads["model2vec"] = _difference(theirs, results, tolerance, f"model2vec, {made}")
        else:
            distance = _difference(theirs, expected, np.inf, "model2vec")
            cosine = _least_cosine(theirs, expected, LEAST_COSINE[precision], "model2vec's")
    return Differences(graphs, distance, cosine, heads)


def check_variant(folder: Path, path: str, exact: Vectors | None = None) -> float:
    """Run ``PADDED`` in another precision on the golden texts.

    :param path: one of ``VARIANTS``.
    :param exact: float32 [texts, dim], what its own table gives; None where that is not known.
    :return: the least cosine to a golden vector.
    :raises ExportError: when the vectors differ by more than the precision allows.
    """
    golden = read_golden(folder / GOLDEN)
    expected = vectors_of(golden["texts"])
    (found,) = _run_padded(folder / path, [entry["input_ids"] for entry in golden["texts"]], [EMBEDDING])
    if exact is not None:
        _difference(found, exact, golden["tolerance"], path)
    return _least_cosine(found, expected, LEAST_COSINE[VARIANTS[path]], f"{PADDED}'s, in {path}")


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


def _run_bag(graph: Path, ids: Sequence[Sequence[int]], outputs: list[str]) -> list[Vectors]:
    flat = np.array([i for text in ids for i in text], np.int64)
    lengths = np.array([len(text) for text in ids], np.int64)
    feeds = {"input_ids": flat, "offsets": np.cumsum(lengths) - lengths}
    return list(SessionConfig().open(graph).run(outputs, feeds))


def _run_padded(graph: Path, ids: Sequence[Sequence[int]], outputs: list[str]) -> list[Vectors]:
    """Text by text: the widths of the golden texts differ by thousands."""
    session = SessionConfig().open(graph)
    rows = []
    for text in ids:
        grid = np.array([text], np.int64).reshape(1, -1)
        rows.append(session.run(outputs, {"input_ids": grid, "attention_mask": np.ones_like(grid)}))
    return [np.concatenate(of) for of in zip(*rows, strict=True)]


def _run_one(graph: Path, ids: Sequence[Sequence[int]]) -> list[Vectors]:
    session = SessionConfig().open(graph)
    feeds = [{"input_ids": np.array(text, np.int64)} for text in ids]
    return [np.concatenate([session.run([EMBEDDING], feed)[0] for feed in feeds])]


def _run_text(graph: Path, texts: Sequence[str], outputs: list[str]) -> list[Vectors]:
    utf8, offsets = pack(texts)
    return list(SessionConfig().open(graph).run(outputs, {"utf8": utf8, "offsets": offsets}))


def _head_tolerance(results: Vectors) -> float:
    return HEAD_TOLERANCE * max(1.0, float(np.abs(results).max()))


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


def _least_cosine(found: Vectors, expected: Vectors, bound: float, whose: str) -> float:
    """Over all texts with tokens.

    :raises ExportError: when it is less than the bound.
    """
    norms = np.linalg.norm(found.astype(np.float64), axis=1) * np.linalg.norm(expected.astype(np.float64), axis=1)
    products = (found.astype(np.float64) * expected).sum(axis=1)
    least = float(np.min(products[norms > 0] / norms[norms > 0], initial=1))
    if not least >= bound:
        raise ExportError(f"a vector's cosine to {whose} is {least:.5f}, expected at least {bound}")
    return least
