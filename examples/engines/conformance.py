"""Engines other than onnxruntime against golden.json: right, refused, or wrong, for each graph of each bundle.

    python examples/engines/conformance.py                    every engine, float32 and int8
    python examples/engines/conformance.py openvino rten      some

Each engine is a program that reads batches, a JSON object a line, and writes vectors, a JSON list a line. It is
installed under .engines/, one after the other, in the version that ENGINES pins. plain.onnx must be right in every
engine of ENGINES but those of NOT_RIGHT; the other graphs' verdicts are printed, for docs/engines.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m2v_onnx.models.format import BAG, ONE, PLAIN

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".engines"
MODEL = ROOT / "models" / "potion-base-2M"
PRECISIONS = ("float32", "float16", "int8", "int4")
TOLERANCE = {"float32": 3e-6, "float16": 3e-6}
"""How near vectors must come; golden.json's own tolerance elsewhere. model2vec adds rows of a float table one after the
other in float32, and its own rounding for one word 512 times is 3e-6: an engine that adds in another order does not
share it."""
PATIENCE = 120
"""Seconds for all batches of one graph: a guard against a hang."""


@dataclass(frozen=True)
class Engine:
    """:ivar packages: of Python, pinned; () for a Rust program. :ivar quick: whether it installs in a minute."""

    name: str
    packages: tuple[str, ...] = ()
    quick: bool = True


ENGINES = (
    Engine("openvino", ("openvino==2026.4.1", "numpy")),
    Engine("onnxruntime_openvino", ("onnxruntime-openvino==1.24.1", "numpy"), quick=False),
    Engine("rten"),
    Engine("tract", quick=False),
    Engine("mnn", ("MNN==3.6.1", "numpy")),
    Engine("tinygrad", ("tinygrad==0.14.0", "onnx==1.23.2", "numpy")),
    Engine("reference", ("onnx==1.23.2", "numpy")),
    Engine("ncnn", ("ncnn==1.0.20261020", "pnnx==20261020", "onnx==1.23.2", "numpy"), quick=False),
)


NOT_RIGHT = ("onnxruntime_openvino", "tract", "tinygrad", "ncnn")
"""Engines that plain.onnx is not held to, for no run of theirs has finished: docs/engines.md."""


@dataclass(frozen=True)
class Batch:
    """:ivar ids: the texts' tokens. :ivar expected: float32 [N, dim]."""

    name: str
    ids: list[list[int]]
    expected: np.ndarray

    def feeds(self, graph: str) -> dict[str, dict[str, list[int]]]:
        flat = [i for text in self.ids for i in text]
        if graph == PLAIN:
            width = max([1, *map(len, self.ids)])  # at least one: few engines know a side of nothing
            grid = [i for text in self.ids for i in [*text, *[0] * (width - len(text))]]
            mask = [int(place < len(text)) for text in self.ids for place in range(width)]
            shape = [len(self.ids), width]
            return {"input_ids": {"shape": shape, "data": grid}, "attention_mask": {"shape": shape, "data": mask}}
        feeds = {"input_ids": {"shape": [len(flat)], "data": flat}}
        if graph == BAG:
            starts = np.cumsum([0, *map(len, self.ids)])[:-1].tolist()
            feeds["offsets"] = {"shape": [len(starts)], "data": starts}
        return feeds


def batches(bundle: Path, graph: str) -> Iterator[Batch]:
    """Golden texts one by one and all together, many at once, an empty text, and no texts."""
    golden = json.loads((bundle / "golden.json").read_bytes())["texts"]
    ids = [entry["input_ids"] for entry in golden]
    vectors = np.array([entry["sentence_embedding"] for entry in golden], np.float32)
    empty = np.zeros((1, vectors.shape[1]), np.float32)
    for i, text in enumerate(ids):
        if text:
            yield Batch("one text", [text], vectors[i : i + 1])
    yield Batch("an empty text", [[]], empty)
    if graph == ONE:
        return
    yield Batch("all texts", ids, vectors)
    short = [i for i, text in enumerate(ids) if len(text) <= 64]
    many = [short[i % len(short)] for i in range(400)]
    yield Batch("many texts", [ids[i] for i in many], vectors[many])
    yield Batch("no texts", [], empty[:0])


def install(engine: Engine) -> list[str]:
    """:return: the command that runs it, without the graph."""
    if not engine.packages:
        folder = WORK / engine.name
        shutil.copytree(HERE / engine.name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
        subprocess.run(["cargo", "build", "--release", "--quiet", "--locked"], cwd=folder, check=True)
        return [str(folder / "target" / "release" / f"m2v-{engine.name}")]
    folder = WORK / engine.name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *engine.packages], check=True)
        (folder / "ready").touch()
    return [str(python), str(HERE / f"run_{engine.name}.py")]


def verdict(command: Sequence[str], graph: Path, tests: Sequence[Batch], tolerance: float) -> str:
    """Run all batches. A program that stops at one is started again for those after it.

    :return: "right", "refused: why", or where it is wrong.
    """
    name = f"onnx/{graph.name}"
    problems: dict[str, str] = {}
    started = 0
    while started < len(tests):
        lines = "".join(json.dumps(batch.feeds(name)) + "\n" for batch in tests[started:])
        try:
            done = subprocess.run([*command, str(graph)], input=lines, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return "refused: no answer"
        answers = [line for line in done.stdout.splitlines() if line.startswith("[")]
        for batch, line in zip(tests[started:], answers, strict=False):
            found = np.array(json.loads(line), np.float32).reshape(-1, batch.expected.shape[1] if line != "[]" else 1)
            if len(found) != len(batch.expected):
                problems.setdefault(batch.name, f"wrong: {len(found)} vectors")
            elif len(found):
                off = float(np.abs(found - batch.expected).max())
                if not off <= tolerance:
                    problems[batch.name] = "wrong: NaN" if np.isnan(off) else f"wrong: off by {off:.1g}"
        started += len(answers)
        if started < len(tests):
            why = ([line for line in done.stderr.splitlines() if line.strip()] or [f"exit {done.returncode}"])[-1]
            if not answers and started == 0:
                return f"refused: {why.strip()[:110]}"
            problems.setdefault(tests[started].name, f"refused: {why.strip()[:110]}")
            started += 1
    return "; ".join(f"{where} {what}" for where, what in problems.items()) or "right"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help="some of " + ", ".join(engine.name for engine in ENGINES))
    parser.add_argument("--quick", action="store_true", help="those that install in a minute")
    parser.add_argument("--precision", nargs="*", choices=PRECISIONS, default=["float32", "int8"])
    options = parser.parse_args()
    from m2v_export import export_model

    WORK.mkdir(exist_ok=True)
    bundles = {}
    for precision in options.precision:
        bundles[precision] = WORK / f"potion-base-2M-{precision}"
        shutil.rmtree(bundles[precision], ignore_errors=True)
        export_model(MODEL, bundles[precision], precision=precision)
    failures = []
    for engine in ENGINES:
        if (options.engines and engine.name not in options.engines) or (options.quick and not engine.quick):
            continue
        begun = time.monotonic()
        command = install(engine)
        print(f"{engine.name}: installed in {time.monotonic() - begun:.0f} s", flush=True)
        for precision, bundle in bundles.items():
            tolerance = TOLERANCE.get(precision, 1e-6)
            for graph in (PLAIN, ONE, BAG):
                found = verdict(command, bundle / graph, list(batches(bundle, graph)), tolerance)
                print(f"  {precision:8} {graph:16} {found}", flush=True)
                if graph == PLAIN and found != "right" and engine.name not in NOT_RIGHT:
                    failures.append(f"{engine.name}, {precision}")
    if failures:
        sys.exit(f"{PLAIN} is not right in {'; '.join(failures)}")


if __name__ == "__main__":
    main()
