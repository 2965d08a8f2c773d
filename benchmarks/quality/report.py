"""The measurements as a page."""

from collections.abc import Sequence

from tabulate import tabulate

from benchmarks.quality.grid import Cell
from benchmarks.quality.plot import MEASURES, pareto
from m2v_export.source.precision import PRECISIONS

HEAD = ["model", "dimensions", "rows", "precision", "MB", "1 - cosine, mean", "largest", "STS-B", "nDCG@10", ""]


def report(
    machine: str,
    versions: str,
    speeds: Sequence[Sequence[str]],
    types: dict[str, dict[str, float]],
    cells: Sequence[Cell],
) -> str:
    """:return: docs/quality.md."""
    fronts = [pareto(cells, measure) for measure in MEASURES]
    names = list(types)
    best = {name: types[name]["float32"] for name in names}
    kinds = [
        [kind, *(f"{types[name][kind]:.2f} ({types[name][kind] - best[name]:+.2f})" for name in names)]
        for kind in types[names[0]]
    ]
    return f"""# What a smaller model costs

Measured by `python -m benchmarks.quality` on {machine}, {versions}. The table and the plot are written by it, from
`benchmarks/quality/results.json`.

![table size against quality](quality.svg)

## Precision, dimensions, vocabulary
`m2v-onnx export SOURCE OUT --precision P --dimensions D --vocabulary-quantization ROWS`

- MB: `onnx/model.onnx_data`, that is the table with its scales, and where rows are clustered each token's weight and
  row. The tokenizer and the graphs come on top, the same for all.
- 1 - cosine: to the vectors of float32 with as many dimensions and all rows, over 5,000 English sentences and 5,000
  lines in 470 languages that have tokens; what fewer dimensions cost shows in the next columns only.
- STS-B: Spearman correlation x 100 with human scores, test set. nDCG@10 x 100: Cranfield, 1,400 documents and 225
  queries. Differences of some tenths are noise, and go up as often as they go down.
- *: on the Pareto front of STS-B (S) or nDCG (N): nothing smaller is as good, in tenths of a point.

{tabulate([_row(cell, fronts) for cell in cells], HEAD, tablefmt="github", disable_numparse=True)}

## Speed
Nanoseconds a token, random tokens, 256 dimensions, one thread, the least of 60 rounds on a machine with other work on
it; in brackets, how many times float32's speed. What tokenizing takes is not in it. The Python runtime takes `one.onnx`
for a single text and `bag.onnx` for several.

{tabulate(speeds, ["graph", "rows", "texts", "tokens a text", *PRECISIONS], tablefmt="github", disable_numparse=True)}

## Types of vectors
`encode(texts, dtype=...)`, from a float32 table: nDCG@10 x 100 on Cranfield, documents and queries in the same type, by
cosine, binary by Hamming distance.

{tabulate(kinds, ["type", *names], tablefmt="github", disable_numparse=True)}
"""


def _row(cell: Cell, fronts: Sequence[Sequence[Cell]]) -> list[str]:
    marks = "".join(letter for letter, front in zip("SN", fronts, strict=True) if cell in front)
    return [
        cell.model,
        str(cell.dimensions),
        f"{cell.rows:,}",
        cell.precision,
        f"{cell.bytes / 1e6:.2f}",
        f"{1 - cell.mean_cosine:.1e}",
        f"{1 - cell.least_cosine:.1e}",
        f"{cell.stsb:.2f}",
        f"{cell.ndcg:.2f}",
        f"*{marks}" if marks else "",
    ]
