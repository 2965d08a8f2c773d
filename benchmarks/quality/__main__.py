"""What each precision, number of dimensions and vocabulary costs: docs/quality.md and docs/quality.svg.

    python -m benchmarks.quality            measure (some ten minutes, most of them for clustering rows) and write
    python -m benchmarks.quality --speed    measure the speeds again, keep the rest
    python -m benchmarks.quality --redraw   write again from results.json, beside this file

Needs the extras `bench` and `vocabulary`, and ../shared.
"""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from model2vec.version import __version__ as model2vec_version

from benchmarks.quality.grid import MODELS, Cell, cells
from benchmarks.quality.measures import cosine_scores, cranfield, hamming_scores
from benchmarks.quality.plot import plot
from benchmarks.quality.report import report
from benchmarks.quality.speed import speeds
from benchmarks.shared import SHARED, need_shared
from m2v_onnx.ort import onnxruntime
from m2v_onnx.vectors.dtypes import VectorType, as_type

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).with_name("results.json")
TYPES: tuple[VectorType, ...] = ("float32", "float16", "bfloat16", "int8", "binary")


def measure() -> dict[str, Any]:
    """All that the report shows, as JSON."""
    need_shared()
    return {
        "machine": f"{os.cpu_count()} cores of {platform.machine()}",
        "versions": f"Python {platform.python_version()}, onnxruntime {onnxruntime.__version__},"
        f" numpy {np.__version__}, model2vec {model2vec_version}",
        "speeds": speeds(),
        "types": {sizes.name: _types(sizes.name) for sizes in MODELS},
        "cells": [asdict(cell) for cell in cells()],
    }


def _types(name: str) -> dict[str, float]:
    """nDCG@10 x 100 on Cranfield, documents and queries in each type of vector."""
    model = StaticModel.from_pretrained(SHARED / "models" / name)
    return {dtype: _ndcg(model, dtype) for dtype in TYPES}


def _ndcg(model: StaticModel, dtype: VectorType) -> float:
    scores = hamming_scores if dtype == "binary" else cosine_scores
    return cranfield(lambda texts: as_type(model.encode(texts), dtype), scores)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description="What a smaller model costs.")
    parser.add_argument("--redraw", action="store_true", help="write again what was measured last")
    parser.add_argument("--speed", action="store_true", help="measure the speeds again, keep the rest")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if options.redraw or options.speed else measure()
    if options.speed:
        results["speeds"] = speeds()
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    results["cells"] = [Cell(**cell) for cell in results["cells"]]
    DOCS.mkdir(exist_ok=True)
    (DOCS / "quality.md").write_text(report(**results), encoding="utf-8")
    plot(results["cells"], DOCS / "quality.svg")
    print(f"wrote {DOCS / 'quality.md'} and quality.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
