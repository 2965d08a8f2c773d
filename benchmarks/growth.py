"""How cost grows: with the number of texts, their length, and the table. Time and memory, each in a process of its own.

    python -m benchmarks.growth

Writes docs/growth.json, docs/growth.md and docs/growth.svg.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from model2vec import StaticModel
from tabulate import tabulate
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from m2v_export import export_model

ROOT = Path(__file__).parents[1]
BUNDLE = ROOT / "models" / "potion-base-2M-onnx"
WAYS = ("nanotoken", "graph", "tokenizers")
TEXTS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
WORDS = (1, 10, 100, 1_000, 10_000)
ROWS = (10_000, 30_000, 100_000, 250_000, 500_000)
DIM = 256
REPEATS = 3
FEWEST_TEXTS = 20_000
"""Texts of the table's run, from a stream, as those of a million are: what is measured is not a list of them."""

VOCABULARY = "the whale river bread winter light garden music paper stone swims bakes sings reads near under"

WORKER = """
import itertools, json, sys, time
from m2v_onnx import OnnxStaticModel
bundle, way, texts, words, repeats = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
max_length = None if words > 512 and way != "graph" else 512
model = OnnxStaticModel.from_pretrained(bundle, tokenizer=way, max_length=max_length)
vocabulary = sys.argv[6].split()
def stream():
    cycle = itertools.cycle(vocabulary)
    for i in range(texts):
        yield " ".join(itertools.islice(cycle, words + i % 3))
def run():
    for vectors in model.encode_iter(stream()):
        pass
def memory(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))
model.encode(["a first text"])
before = memory("RssAnon")
times = []
for _ in range(repeats):
    begin = time.perf_counter()
    run()
    times.append(time.perf_counter() - begin)
found = {"seconds": min(times), "peak": memory("VmHWM"), "private before": before, "private": memory("RssAnon")}
print(json.dumps(found))
"""


def measure(bundle: Path, way: str, texts: int, words: int) -> dict[str, Any]:
    arguments = [str(bundle), way, str(texts), str(words), str(1 if texts * words > 2_000_000 else REPEATS), VOCABULARY]
    done = subprocess.run([sys.executable, "-c", WORKER, *arguments], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    print(way, texts, words, result, file=sys.stderr, flush=True)
    return result


def tables(folder: Path) -> dict[int, Path]:
    """Word-level models of random rows, whose tokenizer costs little."""
    made = {}
    words = VOCABULARY.split()
    for rows in ROWS:
        vocabulary = {
            word: i for i, word in enumerate(["[UNK]", *words, *(f"w{i}" for i in range(rows - len(words) - 1))])
        }
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
        table = np.random.default_rng(0).normal(size=(rows, DIM)).astype(np.float32)
        source = folder / f"source-{rows}"
        StaticModel(vectors=table, tokenizer=tokenizer, normalize=True).save_pretrained(source)
        made[rows] = export_model(source, folder / str(rows)).folder
    return made


def main() -> None:
    results: dict[str, dict[str, list[dict[str, Any]]]] = {"texts": {}, "words": {}, "rows": {}}
    for way in WAYS:
        results["texts"][way] = [{"x": n} | measure(BUNDLE, way, n, 10) for n in TEXTS]
        results["words"][way] = [{"x": n} | measure(BUNDLE, way, 200, n) for n in WORDS]
    with tempfile.TemporaryDirectory() as folder:
        results["rows"]["tokenizers"] = [
            {"x": rows} | measure(bundle, "tokenizers", FEWEST_TEXTS, 10)
            for rows, bundle in tables(Path(folder)).items()
        ]
    docs = ROOT / "docs"
    (docs / "growth.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = docs / "growth.md"
    _, heading, kept = page.read_text(encoding="utf-8").partition(OF_TABLES)
    page.write_text(report(results) + heading + kept, encoding="utf-8")
    plot(results, docs / "growth.svg")


HEADS = {
    "texts": "texts, of some 10 words, from a stream",
    "words": "words a text, 200 texts; max_length=None above 512, but for the graph, whose own 512 it keeps",
    "rows": f"rows of the table, {DIM} dimensions, {FEWEST_TEXTS:,} texts of some 10 words",
}


OF_TABLES = "\n## rows of a Parquet file"
"""What the page has from there on is of ``benchmarks.corpus.growth``."""


def report(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    lines = [
        "# How cost grows",
        "",
        "Made by `python -m benchmarks.growth`. Peak is the process' largest resident memory.",
        "",
    ]
    lines += ["![time and memory](growth.svg)", ""]
    for kind, ways in results.items():
        rows = []
        for points in zip(*ways.values(), strict=True):
            cells = [f"{p['seconds'] * 1e3:,.1f} / {p['peak'] / 1e6:,.0f}" for p in points]
            rows.append([f"{points[0]['x']:,}", *cells])
        head = [kind, *(f"{way}: ms / peak MB" for way in ways)]
        lines += [f"## {HEADS[kind]}", "", str(tabulate(rows, head, tablefmt="github")), ""]
    return "\n".join(lines)


def plot(results: dict[str, dict[str, list[dict[str, Any]]]], path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "m2v-onnx"
    figure, axes = plt.subplots(2, len(results), figsize=(12, 6), layout="constrained")
    for column, (kind, ways) in zip(axes.T, results.items(), strict=True):
        for way, points in ways.items():
            x = [p["x"] for p in points]
            column[0].plot(x, [p["seconds"] * 1e3 for p in points], marker="o", label=way)
            column[1].semilogx(x, [p["peak"] / 1e6 for p in points], marker="o", label=way)
        column[0].set_xscale("log")
        if kind == "rows":  # flat, or nearly: a logarithm would make hills of nothing
            column[0].set_ylim(bottom=0)
        else:
            column[0].set_yscale("log")
        column[0].set_title(kind)
        column[0].set_ylabel("ms")
        column[1].set_ylabel("peak MB")
        column[1].set_ylim(bottom=0)
        column[0].legend()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
