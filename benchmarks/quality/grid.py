"""Bundles of every precision, dimensions and vocabulary, and what each costs."""

import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from model2vec import StaticModel
from model2vec.model import quantize_model

from benchmarks.quality.measures import Array, cosines, cranfield, stsb
from benchmarks.shared import SHARED, lines
from m2v_export import export_model
from m2v_export.source.precision import PRECISIONS
from m2v_onnx import OnnxStaticModel
from m2v_onnx.models.format import TABLE

EVERY_SENTENCE = 20
EVERY_LINE = 22
"""Of sentences_en.txt and multilingual.txt: some 5,000 texts of each."""


@dataclass(frozen=True)
class Sizes:
    """What to make of a model.

    :ivar dimensions: the first one is all of them.
    :ivar rows: of the clustered vocabulary; None for all.
    """

    name: str
    dimensions: tuple[int, ...]
    rows: tuple[int | None, ...]


MODELS = (
    Sizes("potion-base-2M", (64, 32), (None, 8192, 2048)),
    Sizes("minilm-256", (256, 128, 64), (None, 8192, 2048)),
)


@dataclass(frozen=True)
class Cell:
    """One bundle.

    :ivar rows: of the table.
    :ivar bytes: of the file with the table, its scales, and the tokens' weights and rows.
    :ivar mean_cosine: to float32 with as many dimensions and all rows, over the texts that have tokens.
    :ivar least_cosine: of them.
    :ivar stsb: Spearman x 100 on the test set.
    :ivar ndcg: nDCG@10 x 100 on Cranfield.
    """

    model: str
    precision: str
    dimensions: int
    rows: int
    bytes: int
    mean_cosine: float
    least_cosine: float
    stsb: float
    ndcg: float


def cells() -> Iterator[Cell]:
    """All of them, the slowest to make last."""
    texts = [*lines("sentences_en.txt")[::EVERY_SENTENCE], *lines("multilingual.txt")[::EVERY_LINE]]
    for sizes in MODELS:
        source = StaticModel.from_pretrained(SHARED / "models" / sizes.name)
        for dimensions in sizes.dimensions:
            cut = quantize_model(source, dimensionality=dimensions)
            exact = cut.encode(texts)
            for rows in sizes.rows:
                model = cut if rows is None else quantize_model(cut, vocabulary_quantization=rows)
                for precision in PRECISIONS:
                    cell = _cell(sizes.name, model, precision, texts, exact)
                    print(*astuple(cell), file=sys.stderr, flush=True)
                    yield cell


def _cell(name: str, model: StaticModel, precision: str, texts: list[str], exact: Array) -> Cell:
    with TemporaryDirectory() as folder:
        bundle = export_model(model, Path(folder) / "bundle", precision=precision).folder
        ours = OnnxStaticModel.from_pretrained(bundle)
        near = cosines(ours.encode(texts), exact)[np.any(exact, axis=1)]
        return Cell(
            model=name,
            precision=precision,
            dimensions=model.dim,
            rows=len(model.embedding),
            bytes=(bundle / TABLE).stat().st_size,
            mean_cosine=float(near.mean()),
            least_cosine=float(near.min()),
            stsb=stsb(ours.encode),
            ndcg=cranfield(ours.encode),
        )
