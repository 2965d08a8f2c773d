"""Engines other than onnxruntime against golden.json: right, refused, or wrong, for each graph of each bundle.

    python examples/engines/conformance.py                    every engine, float32 and int8
    python examples/engines/conformance.py openvino rten      some

Each engine is a program that reads batches, a JSON object a line, and writes vectors, a JSON list a line. It is
installed under .engines/, one after the other, in the version that ENGINES pins. The graphs that ENGINES says an engine
has right must be right; the others may be refused, but wrong only where ENGINES says so. docs/engines.md has the table.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from m2v_onnx.models.format import BAG, ONE, PLAIN

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".engines"
MODEL = ROOT / "models" / "potion-base-2M"
PRECISIONS = ("float32", "float16", "int8", "int4")
TOLERANCE = 1e-6
"""How near vectors must come to golden.json's."""
PATIENCE = 1800
"""Seconds for all batches of one graph: a guard against a hang."""


@dataclass(frozen=True)
class Engine:
    """
    :ivar packages: of Python, pinned; () for a Rust program.
    :ivar alone: packages whose dependencies are not wanted.
    :ivar python: the oldest 3.x that the packages take.
    :ivar quick: whether it installs in a minute or two.
    :ivar within: how near vectors must come to golden.json's, by precision, where not ``TOLERANCE``.
    :ivar right: graphs that must be right.
    :ivar wrong: graphs that are known to be wrong, which docs/engines.md must say.
    """

    name: str
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    python: int = 11
    quick: bool = True
    within: Mapping[str, float] = field(default_factory=dict)
    right: tuple[str, ...] = (PLAIN,)
    wrong: tuple[str, ...] = ()


IN_ANOTHER_ORDER = {"float32": 1.7e-6}
"""How near an engine comes that adds rows in another order. model2vec adds float32 rows one after the other, and its
vector of one word 512 times is itself 1.66e-6 from the exact one."""

ENGINES = (
    Engine("openvino", ("openvino==2026.4.1", "numpy"), right=(PLAIN, ONE)),
    Engine("onnxruntime_openvino", ("onnxruntime-openvino==1.24.1", "numpy"), quick=False, wrong=(ONE,)),
    Engine("rten", right=(PLAIN, ONE, BAG), within=IN_ANOTHER_ORDER),
    Engine("tract", quick=False, within=IN_ANOTHER_ORDER),
    Engine("mnn", ("MNN==3.6.1", "onnx==1.23.2", "numpy"), wrong=(ONE,)),
    Engine("litert", ("onnx2tf==2.6.9", "ai-edge-litert==2.1.2"), python=12, quick=False),
    Engine(
        "tinygrad", ("tinygrad==0.14.0", "onnx==1.23.2", "numpy"), quick=False, within=IN_ANOTHER_ORDER, wrong=(ONE,)
    ),
    Engine("reference", ("onnx==1.23.2", "numpy")),
    # pnnx asks for PyTorch, some gigabytes, which its converter of ONNX does not use.
    Engine("ncnn", ("ncnn==1.0.20261020", "onnx==1.23.2", "numpy"), alone=("pnnx==20261020",), right=()),
)


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


class NotInstalled(Exception):
    """Something that an engine needs is not here."""


def install(engine: Engine) -> list[str]:
    """:return: the command that runs it, without the graph. :raises NotInstalled: when it cannot be installed."""
    folder = WORK / engine.name
    if not engine.packages:
        if not shutil.which("cargo"):
            raise NotInstalled("it needs cargo, of Rust")
        shutil.copytree(HERE / engine.name, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target"))
        subprocess.run(["cargo", "build", "--release", "--quiet", "--locked"], cwd=folder, check=True)
        return [str(folder / "target" / "release" / f"m2v-{engine.name}")]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([interpreter(engine.python), "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *engine.packages], check=True)
        if engine.alone:
            subprocess.run([*pip, "--no-deps", *engine.alone], check=True)
        (folder / "ready").touch()
    return [str(python), str(HERE / f"run_{engine.name}.py")]


def interpreter(minor: int) -> str:
    """A Python of at least this version, this one if it serves."""
    if sys.version_info >= (3, minor):
        return sys.executable
    for newer in range(minor, minor + 4):
        python = f"python3.{newer}"
        if shutil.which(python) and not subprocess.run([python, "--version"], capture_output=True).returncode:
            return python
    raise NotInstalled(f"it needs Python 3.{minor} or newer: run this program with one, or put python3.{minor} on PATH")


@dataclass
class Verdict:
    """:ivar problems: {batch: what is wrong or why it is refused}. :ivar off: the largest difference of right ones."""

    problems: dict[str, str]
    off: float = 0.0

    @property
    def kind(self) -> str:
        found = {problem.partition(":")[0] for problem in self.problems.values()}
        return "wrong" if "wrong" in found else "refused" if found else "right"

    def __str__(self) -> str:
        said = "; ".join(f"{batch} {what}" for batch, what in self.problems.items())
        return said or f"right, within {self.off:.1e}"


def verdict(command: Sequence[str], graph: Path, tests: Sequence[Batch], tolerance: float) -> Verdict:
    """Run all batches. A program that stops at one is started again for those after it."""
    name = f"onnx/{graph.name}"
    found = Verdict({})
    started = 0
    while started < len(tests):
        lines = "".join(json.dumps(batch.feeds(name)) + "\n" for batch in tests[started:])
        try:
            done = subprocess.run([*command, str(graph)], input=lines, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return Verdict({"all": f"refused: no answer in {PATIENCE} s"})
        answers = [line for line in done.stdout.splitlines() if line.startswith("[")]
        for batch, line in zip(tests[started:], answers, strict=False):
            vectors = np.array(json.loads(line), np.float32)
            if len(vectors) != len(batch.expected) or (len(vectors) and vectors.shape != batch.expected.shape):
                found.problems[batch.name] = f"wrong: shape {list(vectors.shape)}"
                continue
            off = float(np.abs(vectors - batch.expected).max(initial=0)) if len(vectors) else 0.0
            if off <= tolerance:
                found.off = max(found.off, off)
            else:
                found.problems[batch.name] = "wrong: NaN" if np.isnan(off) else f"wrong: off by {off:.1e}"
        started += len(answers)
        if started < len(tests):
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit {done.returncode}"]
            why = f"refused: {next((line for line in said if line.startswith('Error:')), said[-1])[:110]}"
            if started == 0:
                return Verdict({"all": why})
            found.problems.setdefault(tests[started].name, why)
            started += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help="some of " + ", ".join(engine.name for engine in ENGINES))
    parser.add_argument("--quick", action="store_true", help="those that install in a minute or two")
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
        try:
            command = install(engine)
        except NotInstalled as error:
            print(f"{engine.name}: not run: {error}", flush=True)
            failures.append(f"{engine.name}: not run: {error}")
            continue
        print(f"{engine.name}: installed in {time.monotonic() - begun:.0f} s", flush=True)
        for precision, bundle in bundles.items():
            tolerance = engine.within.get(precision, TOLERANCE)
            for graph in (PLAIN, ONE, BAG):
                found = verdict(command, bundle / graph, list(batches(bundle, graph)), tolerance)
                print(f"  {precision:8} {graph:16} {found}", flush=True)
                # The other graphs need BitwiseAnd for int4.
                must = graph in engine.right and (graph == PLAIN or precision != "int4")
                if must and found.kind != "right":
                    failures.append(f"{engine.name}: {graph} in {precision} is not right")
                if found.kind == "wrong" and graph not in engine.wrong:
                    failures.append(f"{engine.name}: {graph} in {precision} is wrong, and ENGINES does not say so")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
