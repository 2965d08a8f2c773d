"""Texts a second of every contender, a panel a model."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

OURS, OTHERS = "#0072b2", "#999999"
COLUMNS = {"queries warm": "queries", "sentences warm": "sentences", "passages warm": "passages"}


def plot(results: dict[str, Any], path: Path) -> None:
    """Write an SVG of the figures of two cores with warm caches, whose bytes depend on nothing but the results."""
    models = results["models"]
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name, "font.size": 8}):
        figure, panels = plt.subplots(
            len(models), len(COLUMNS), figsize=(11, 3.2 * len(models)), layout="constrained", squeeze=False
        )
        for line, (model, rows) in zip(panels, models.items(), strict=True):
            names = [name for name, row in rows.items() if "2" in row]
            for i, (axes, (column, label)) in enumerate(zip(line, COLUMNS.items(), strict=True)):
                found = [rows[name]["2"][column] for name in names]
                medians = [of["median"] / 1e3 for of in found]
                spread = [
                    [of[a] / 1e3 - of[b] / 1e3 for of in found] for a, b in (("median", "low"), ("high", "median"))
                ]
                colours = [OURS if name.startswith("m2v-onnx") else OTHERS for name in names]
                axes.barh(range(len(names)), medians, color=colours, xerr=spread, error_kw={"linewidth": 0.8})
                axes.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
                axes.invert_yaxis()
                axes.grid(axis="x", alpha=0.3)
                axes.set(title=f"{label}, {model}" if i == 0 else label, xlabel="thousand texts a second, 2 cores")
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
