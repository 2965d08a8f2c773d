"""Every model of ../shared against model2vec: token ids, and the largest difference of a vector.

    python -m benchmarks.parity.models

Leaves with 1 when an id differs, or a vector by more than the bound.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "true"

import numpy as np
from model2vec import StaticModel
from tabulate import tabulate

from benchmarks.shared import MODELS, SHARED, lines, naughty_strings, need_shared
from m2v_export import export_model
from m2v_export.bundle.check import REFERENCE_TOLERANCE
from m2v_onnx import OnnxStaticModel

BATCH = 10_000


def texts() -> dict[str, list[str]]:
    """Sets of texts by name."""
    multilingual = lines("multilingual.txt")
    unicode = [
        line
        for path in sorted((SHARED / "data" / "unicode").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    code_points = [chr(i) for i in range(0x110000) if not 0xD800 <= i <= 0xDFFF]
    return {
        "multilingual.txt": multilingual,
        "sentences_en.txt": lines("sentences_en.txt"),
        "unicode/": [*unicode, *naughty_strings()],
        "code points": [
            " ".join(f"a{c}b {c}" for c in code_points[i : i + 100]) for i in range(0, len(code_points), 100)
        ],
        "past the cut": ["\n".join(multilingual[i : i + 200]) for i in range(0, len(multilingual), 200)],
    }


def compare(model: OnnxStaticModel, reference: StaticModel, some: list[str]) -> tuple[int, float]:
    """:return: texts with other ids, and the largest difference of a vector's value."""
    wrong, largest = 0, 0.0
    for batch in _batches(some):
        wrong += sum(a != b for a, b in zip(model.tokenize(batch), reference.tokenize(batch), strict=True))
        expected = np.asarray(reference.encode(batch), np.float32)
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        largest = max(largest, float(np.abs(model.encode(batch) - expected).max(initial=0)) / scale)
    return wrong, largest


def _batches(some: list[str]) -> Iterator[list[str]]:
    return (some[i : i + BATCH] for i in range(0, len(some), BATCH))


def main() -> int:
    need_shared()
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        sets = texts()
        for name in MODELS:
            source = SHARED / "models" / name
            report = export_model(source, Path(folder) / name.replace("/", "-"))
            model, reference = OnnxStaticModel.from_pretrained(report.folder), StaticModel.from_pretrained(source)
            bound = REFERENCE_TOLERANCE[reference.embedding.dtype.name]
            for kind, some in sets.items():
                wrong, largest = compare(model, reference, some)
                failed |= wrong > 0 or not largest <= bound
                rows.append([name.rpartition("/")[2], kind, f"{len(some):,}", wrong, f"{largest:.1e}", f"{bound:.0e}"])
                print(*rows[-1], file=sys.stderr, flush=True)
    head = ["model", "texts", "number", "other ids", "largest difference", "bound"]
    print(tabulate(rows, head, tablefmt="github"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
