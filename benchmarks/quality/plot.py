"""Size against quality, one panel a measure."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from benchmarks.quality.grid import Cell
from m2v_export.source.precision import PRECISIONS

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

MARKERS = dict(zip(PRECISIONS, "osD^", strict=True))
COLOURS = {"potion-base-2M": "#0072b2", "minilm-256": "#d55e00"}
"""Two that readers of all kinds can tell apart."""

TICKS = (0.3, 1, 3, 10, 30)
"""MB."""

MEASURES = {"stsb": "STS-B, Spearman x 100", "ndcg": "Cranfield, nDCG@10 x 100"}


def plot(cells: Sequence[Cell], path: Path) -> None:
    """Write an SVG, whose bytes depend on nothing but the cells."""
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name, "font.size": 9}):
        figure, panels = plt.subplots(1, len(MEASURES), figsize=(10, 4.6), layout="constrained")
        for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
            for cell in cells:
                axes.plot(
                    cell.bytes / 1e6,
                    getattr(cell, measure),
                    MARKERS[cell.precision],
                    color=COLOURS[cell.model],
                    markersize=5,
                    alpha=0.75,
                )
            front = pareto(cells, measure)
            axes.plot([c.bytes / 1e6 for c in front], [getattr(c, measure) for c in front], "-", color="#555", zorder=0)
            axes.set(xscale="log", xlabel="table, MB", ylabel=label)
            axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS], minor=False)
            axes.grid(alpha=0.3)
            for cell in front:
                rows = "" if cell.rows > max(MARK_ROWS) else f", {cell.rows:,} rows"
                axes.annotate(
                    f"{cell.precision}, {cell.dimensions}{rows}",
                    (cell.bytes / 1e6, getattr(cell, measure)),
                    xytext=(4, -9),
                    textcoords="offset points",
                    fontsize=6,
                )
        handles = [Line2D([], [], marker=MARKERS[p], color="#555", linestyle="", label=p) for p in MARKERS]
        handles += [Line2D([], [], marker="o", color=COLOURS[m], linestyle="", label=m) for m in COLOURS]
        handles += [Line2D([], [], color="#555", label="Pareto front")]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)


MARK_ROWS = (8192, 2048)
"""Clustered vocabularies, which a label says."""


def pareto(cells: Sequence[Cell], measure: str) -> list[Cell]:
    """The cells that nothing smaller is as good as, in tenths of a point; by size."""
    front: list[Cell] = []
    for cell in sorted(cells, key=lambda c: (c.bytes, -getattr(c, measure))):
        if not front or round(getattr(cell, measure), 1) > round(getattr(front[-1], measure), 1):
            front.append(cell)
    return front
