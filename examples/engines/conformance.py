"""Engines other than onnxruntime against golden.json: right, refused, or wrong, for each graph of each bundle.

    python examples/engines/conformance.py                    every engine, float32 and int8
    python examples/engines/conformance.py openvino rten      some
    python examples/engines/conformance.py mnn --bundle DIR   with bundles of yours

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from m2v_onnx.models.format import (
    BAG,
    CONFIG,
    EMBEDDING,
    GOLDEN,
    ONE,
    PLAIN,
    PREDICTIONS,
    PROBABILITIES,
)
from m2v_onnx.ort import onnxruntime

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".engines"
MODEL = ROOT / "models" / "potion-base-2M"
PRECISIONS = ("float32", "float16", "int8", "int4")
TOLERANCE = 1e-6
"""How near vectors must come; those with values above 1, times the largest, as golden.json has it."""
MANY_TEXTS, SHORT_TOKENS = 1000, 64
"""A batch of so many texts, where an engine is not too slow, of at most so many tokens."""
LONG_TOKENS = 512
"""Tokens of a long text."""
PATIENCE = 1800
"""Seconds for all batches of one graph: a guard against a hang."""


@dataclass(frozen=True)
class Engine:
    """
    :ivar packages: of Python, pinned; () for a Rust program.
    :ivar alone: packages whose dependencies are not wanted.
    :ivar python: the oldest 3.x that the packages take.
    :ivar quick: whether it installs in a minute or two.
    :ivar many: texts of its largest batch.
    :ivar right: graphs that must be right.
    :ivar wrong: graphs that are known to be wrong, which docs/engines.md must say.
    """

    name: str
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    python: int = 11
    quick: bool = True
    many: int = MANY_TEXTS
    right: tuple[str, ...] = (PLAIN,)
    wrong: tuple[str, ...] = ()


ENGINES = (
    Engine("openvino", ("openvino==2026.4.1", "numpy"), wrong=(ONE,)),
    Engine("onnxruntime_openvino", ("onnxruntime-openvino==1.24.1", "numpy"), quick=False, wrong=(ONE,)),
    Engine("rten", right=(PLAIN, ONE, BAG)),
    Engine("tract", quick=False),
    Engine("mnn", ("MNN==3.6.1", "onnx==1.23.2", "numpy"), wrong=(ONE,)),
    Engine("litert", ("onnx2tf==2.6.9", "ai-edge-litert==2.1.2"), python=12, quick=False, wrong=(ONE,)),
    Engine("tinygrad", ("tinygrad==0.14.0", "onnx==1.23.2", "numpy"), quick=False, many=40, wrong=(ONE,)),
    Engine("reference", ("onnx==1.23.2", "numpy")),
    # pnnx asks for PyTorch, some gigabytes, which its converter of ONNX does not use.
    Engine("ncnn", ("ncnn==1.0.20261020", "onnx==1.23.2", "numpy"), alone=("pnnx==20261020",), right=()),
)


@dataclass(frozen=True)
class Batch:
    """
    :ivar ids: the texts' tokens.
    :ivar expected: float64 [2, N, dim]: golden.json's vectors, and exact ones. An engine that adds a text's rows in
        another order than model2vec is nearer to these: model2vec's own of one word 512 times is 1.7e-6 from exact.
    """

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

    def arrays(self, graph: str) -> dict[str, np.ndarray]:
        return {name: np.array(of["data"], np.int64).reshape(of["shape"]) for name, of in self.feeds(graph).items()}


@dataclass(frozen=True)
class Tests:
    """:ivar output: of the graph, what is looked at."""

    output: str
    tolerance: float
    batches: list[Batch]


def tests_of(bundle: Path, graph: str, many: int) -> Iterator[Tests]:
    """The tests of each output but last_hidden_state; one.onnx has no head."""
    golden = json.loads((bundle / GOLDEN).read_bytes())["texts"]
    for output in (EMBEDDING,) if graph == ONE else (EMBEDDING, PROBABILITIES, PREDICTIONS):
        if output in golden[0]:
            largest = max(abs(value) for text in golden for value in text[output])
            yield Tests(output, TOLERANCE * max(1.0, largest), list(batches(bundle, graph, golden, output, many)))


def batches(bundle: Path, graph: str, golden: Sequence[dict[str, Any]], output: str, many: int) -> Iterator[Batch]:
    """Golden texts one by one and all together, many at once, an empty text, empty texts only, and no texts.

    Texts of 512 random tokens too, whose vectors are those of bag.onnx in onnxruntime.
    """
    ids = [entry["input_ids"] for entry in golden]
    vectors = np.stack([np.array([entry[output] for entry in golden]), exact(bundle, ids, output)])
    empty = vectors[:, [ids.index([])]]
    for i, text in enumerate(ids):
        if text:
            yield Batch("one text", [text], vectors[:, [i]])
    yield Batch("an empty text", [[]], empty)
    known = sorted({i for text in ids for i in text})
    long = np.random.default_rng(0).choice(known, (4, LONG_TOKENS)).tolist()
    session = onnxruntime.InferenceSession(str(bundle / BAG), providers=["CPUExecutionProvider"])
    ours: Any = session.run([output], Batch("", long, empty).arrays(BAG))
    of_long = np.stack([ours[0], exact(bundle, long, output)])
    yield Batch("a long text", long[:1], of_long[:, :1])
    if graph == ONE:
        return
    yield Batch("long texts", long, of_long)
    yield Batch("all texts", ids, vectors)
    short = [i for i, text in enumerate(ids) if len(text) <= SHORT_TOKENS]
    repeated = [short[i % len(short)] for i in range(many)]
    yield Batch("many texts", [ids[i] for i in repeated], vectors[:, repeated])
    yield Batch("empty texts", [[]] * 3, empty[:, [0] * 3])
    yield Batch("no texts", [], empty[:, :0])


def exact(bundle: Path, ids: Sequence[list[int]], output: str) -> np.ndarray:
    """plain.onnx computed in float64, a text at a time."""
    model = onnx.load(bundle / PLAIN)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor).astype(float), tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.DOUBLE
    evaluator = ReferenceEvaluator(model)

    def of(text: list[int]) -> np.ndarray:
        feeds = Batch("", [text], np.empty(0)).arrays(PLAIN)
        results: Any = evaluator.run([output], feeds)
        return np.asarray(results[0])

    return np.concatenate([of(text) for text in ids])


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


def verdict(command: Sequence[str], bundle: Path, name: str, many: int) -> Verdict:
    """Run all batches for all outputs."""
    found = Verdict({})
    for tests in tests_of(bundle, name, many):
        of_output = run([*command, str(bundle / name), tests.output], name, tests.batches, tests.tolerance)
        prefix = "" if tests.output == EMBEDDING else f"{tests.output} of "
        found.problems |= {prefix + batch: problem for batch, problem in of_output.problems.items()}
        found.off = max(found.off, of_output.off)
    return found


def run(command: Sequence[str], name: str, tests: Sequence[Batch], tolerance: float) -> Verdict:
    """Run all batches. A program that stops at one is started again for those after it.

    :param name: of the graph in its bundle.
    """
    found = Verdict({})
    started = 0
    while started < len(tests):
        lines = "".join(json.dumps(batch.feeds(name)) + "\n" for batch in tests[started:])
        try:
            done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return Verdict({"all": f"refused: no answer in {PATIENCE} s"})
        answers = [line for line in done.stdout.splitlines() if line.startswith("[")]
        for batch, line in zip(tests[started:], answers, strict=False):
            vectors = np.array(json.loads(line), np.float32)
            if len(vectors) != len(batch.ids) or (len(vectors) and vectors.shape != batch.expected.shape[1:]):
                found.problems[batch.name] = f"wrong: shape {list(vectors.shape)}"
                continue
            off = float(np.abs(vectors - batch.expected).max(axis=2).min(axis=0).max()) if len(vectors) else 0.0
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


def exported(precision: str) -> Path:
    """The bundle of potion-base-2M, made anew."""
    from m2v_export import export_model

    bundle = WORK / f"potion-base-2M-{precision}"
    shutil.rmtree(bundle, ignore_errors=True)
    export_model(MODEL, bundle, precision=precision)
    return bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help="some of " + ", ".join(engine.name for engine in ENGINES))
    parser.add_argument("--quick", action="store_true", help="those that install in a minute or two")
    parser.add_argument("--precision", nargs="*", choices=PRECISIONS, default=["float32", "int8"])
    parser.add_argument("--bundle", nargs="*", type=Path, metavar="DIR", help="bundles in place of potion-base-2M's")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    bundles = options.bundle or [exported(precision) for precision in options.precision]
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
        for bundle in bundles:
            precision = json.loads((bundle / CONFIG).read_bytes())["embedding_dtype"]
            for graph in (PLAIN, ONE, BAG):
                found = verdict(command, bundle, graph, engine.many)
                print(f"  {bundle.name} {precision} {graph}  {found}", flush=True)
                # The other graphs need BitwiseAnd for int4.
                must = graph in engine.right and (graph == PLAIN or precision != "int4")
                if must and found.kind != "right":
                    failures.append(f"{engine.name}: {graph} of {bundle.name} is not right")
                if found.kind == "wrong" and graph not in engine.wrong:
                    failures.append(f"{engine.name}: {graph} of {bundle.name} is wrong, and ENGINES does not say so")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
