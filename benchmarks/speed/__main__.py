"""Speed and memory against the peers, in one run: every contender in turn, several rounds, medians.

    make speed                                # with the peers, in a virtual environment of its own
    python -m benchmarks.speed --rounds 3     # with whatever is installed here

Writes docs/speed.json, docs/speed.md and docs/speed.svg. `--redraw` writes the last two again.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, PackagePath, distribution, version
from pathlib import Path
from typing import Any

import numpy as np
from model2vec import StaticModel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tabulate import tabulate
from tokenizers import Tokenizer

from benchmarks.shared import SHARED
from benchmarks.speed.contenders import CONTENDERS, LEFT_OUT
from benchmarks.speed.plot import plot
from benchmarks.speed.texts import sets
from m2v_export import export_model

ROOT = Path(__file__).parents[2]
POTION = ROOT / "models" / "potion-base-2M"
PEERS = {"offsets": "potion-base-2M-offsets-onnx", "padded": "potion-base-2M-model2vec-0.10-onnx"}
SIZES = {"queries": 20_000, "sentences": 10_000, "passages": 4_000}
"""Texts of a timed run."""
ONE_BY_ONE, COLD_ONE_BY_ONE = 2_000, 500
WALKED = 8 << 20
"""Bytes of other work before each of the cold ones."""
CHECKED = 500
WIDE_DIM = 256


class Worker:
    """A contender's process."""

    def __init__(self, name: str, model: Path, cores: int) -> None:
        threads = str(cores)
        env = {
            **os.environ,
            "TOKENIZERS_PARALLELISM": "true" if cores > 1 else "false",
            "RAYON_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }
        command = [sys.executable, "-m", "benchmarks.speed.worker", name, str(model), threads]
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.private = self._answer()["private"]
        self.start = time.perf_counter() - begin

    def ask(self, **job: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError((self._process.communicate()[1] or "no answer").strip().splitlines()[-1])


@dataclass(frozen=True)
class Model:
    """:ivar files: folders by what contenders need."""

    name: str
    files: dict[str, Path]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--redraw", action="store_true", help="write again what was measured last")
    options = parser.parse_args()
    path = options.out / "speed.json"
    results = json.loads(path.read_text(encoding="utf-8")) if options.redraw else measurements(options.rounds)
    options.out.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.out / "speed.md").write_text(report(results), encoding="utf-8")
    plot(results, options.out / "speed.svg")
    print(report(results))


def measurements(rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = sets()
        path = folder / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        results: dict[str, Any] = {"machine": machine(), "texts": describe(texts), "models": {}}
        for model in models(folder):
            results["models"][model.name] = measure(model, path, rounds)
        results["installed"] = {name: installed_bytes(c.packages) / 1e6 for name, c in CONTENDERS.items()}
        results["left out"] = LEFT_OUT
        return results


def models(folder: Path) -> list[Model]:
    """The model in models/, and one of potion-base-8M's shape with the same tokenizer and random rows."""
    wide = folder / "wide"
    tokenizer = Tokenizer.from_file(str(POTION / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), WIDE_DIM)).astype(np.float32)
    StaticModel(vectors=table, tokenizer=tokenizer, normalize=True).save_pretrained(wide)
    shutil.copy(POTION / "tokenizer.json", wide)  # as published, or laghu would not take its fast way
    found = []
    for name, source in (("potion-base-2M, 64 dimensions", POTION), ("256 dimensions", wide)):
        files = {"source": source}
        for precision in ("float32", "int8"):
            bundle = folder / f"{source.name}-{precision}"
            files[precision] = export_model(source, bundle, precision=precision).folder
        if source == POTION:
            files |= {
                kind: SHARED / "peers" / peer for kind, peer in PEERS.items() if (SHARED / "peers" / peer).is_dir()
            }
        found.append(Model(name, files))
    return found


def measure(model: Model, texts: Path, rounds: int) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    expected = None
    for name, contender in CONTENDERS.items():
        if contender.needs not in model.files:
            continue
        try:
            vectors = checked_vectors(name, model.files[contender.needs], texts)
        except RuntimeError as error:
            rows[name] = {"failed": str(error)}
            continue
        expected = vectors if expected is None else expected
        difference = float(np.abs(vectors - expected).max())
        rows[name] = (
            {"difference": difference} if difference < contender.bound else {"failed": f"differs by {difference:.1e}"}
        )
    for cores in (1, 2):
        run(model, texts, rounds, cores, rows)
    return rows


def checked_vectors(name: str, files: Path, texts: Path) -> Any:
    worker = Worker(name, files, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        worker.ask(do="texts", path=str(texts))
        worker.ask(do="vectors", path=str(path), kind="sentences", end=CHECKED)
        worker.close()
        return np.load(path)


def run(model: Model, texts: Path, rounds: int, cores: int, rows: dict[str, Any]) -> None:
    """All contenders in turn, ``rounds`` times; a new process each time, whose first texts meet cold caches."""
    measured: dict[str, dict[str, list[float]]] = {name: {} for name, row in rows.items() if "failed" not in row}
    for _ in range(rounds):
        for name, values in measured.items():
            worker = Worker(name, model.files[CONTENDERS[name].needs], cores)
            found = {"start": worker.start, "private": worker.private / 1e6}
            worker.ask(do="texts", path=str(texts))
            for kind, size in SIZES.items():
                for state in ("cold", "warm"):
                    done = worker.ask(do="encode", kind=kind, begin=0, end=size)
                    found[f"{kind} {state}"] = size / done["seconds"]
                    found["peak"] = done["peak"] / 1e6
            one = worker.ask(do="one by one", kind="queries", begin=0, end=ONE_BY_ONE, walk=0)
            found |= {"one median": one["median"] * 1e6, "one p99": one["p99"] * 1e6}
            one = worker.ask(do="one by one", kind="queries", begin=0, end=COLD_ONE_BY_ONE, walk=WALKED)
            found["one cold"] = one["median"] * 1e6
            worker.close()
            for key, value in found.items():
                values.setdefault(key, []).append(value)
            print(cores, name, {k: round(v, 3) for k, v in found.items()}, file=sys.stderr, flush=True)
    for name, values in measured.items():
        rows[name][str(cores)] = {
            key: {"median": statistics.median(of), "low": min(of), "high": max(of)} for key, of in values.items()
        }


def machine() -> dict[str, str]:
    names = {p for contender in CONTENDERS.values() for p in contender.packages} | {
        "onnxruntime",
        "tokenizers",
        "numpy",
    }
    found = {"cpu": cpu(), "system": platform.platform(), "Python": platform.python_version()}
    for name in sorted(names):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def installed_bytes(packages: Iterable[str]) -> int:
    """The files of some packages and of all that these require, extras left out."""
    wanted, seen, size = list(packages), set(), 0
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # one that another platform or Python needs
            continue
        size += sum(Path(str(file.locate())).stat().st_size for file in found.files or () if _is_there(file))
        requirements = map(Requirement, found.requires or ())
        wanted += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return size


def _is_there(file: PackagePath) -> bool:
    return Path(str(file.locate())).is_file()


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()


def describe(texts: dict[str, list[str]]) -> dict[str, str]:
    return {
        kind: f"{SIZES[kind]:,} of {len(of):,}, mean {statistics.mean(map(len, of[: SIZES[kind]])):.0f} characters"
        for kind, of in texts.items()
    }


def report(results: dict[str, Any]) -> str:
    lines = ["# Speed", "", "Made by `make speed`; [speed.json](speed.json) has the spread of every figure.", ""]
    lines += [f"- {key}: {value}" for key, value in results["machine"].items()]
    lines += ["", "Texts, from the docstrings and comments of Python's standard library:", ""]
    lines += [f"- {kind}: {value}" for kind, value in results["texts"].items()]
    lines += ["", "Ratios are to model2vec in the same table. Cold: the first time that a process sees the texts."]
    lines += ["Installed: the package and all that it requires, in MB.", "", "![texts a second](speed.svg)", ""]
    for model, rows in results["models"].items():
        for cores in ("1", "2"):
            title = f"## {model}, {cores} core{'s' if cores == '2' else ''}"
            lines += [title, "", table(rows, cores, results["installed"]), ""]
    lines += [f"Not measured: {name}: {reason}." for name, reason in results["left out"].items()]
    return "\n".join(lines) + "\n"


COLUMNS = [f"{kind} {state}" for kind in SIZES for state in ("cold", "warm")]


def table(rows: dict[str, Any], cores: str, installed: dict[str, float]) -> str:
    base = rows["model2vec"][cores]
    out = []
    for name, row in rows.items():
        if cores not in row:
            out.append([name, row["failed"]])
            continue
        found = row[cores]
        cells = [f"{found[c]['median']:,.0f} ({found[c]['median'] / base[c]['median']:.1f})" for c in COLUMNS]
        micro = f"{found['one median']['median']:.0f} / {found['one p99']['median']:.0f}"
        memory = [f"{found[key]['median']:.0f}" for key in ("private", "peak")]
        memory.append(f"{installed[name]:.0f}")
        cold = f"{found['one cold']['median']:.0f}" if "one cold" in found else "not measured"
        out.append([name, *cells, micro, cold, f"{found['start']['median'] * 1e3:.0f}", *memory])
    head = [
        "",
        *(f"{c}, texts/s (ratio)" for c in COLUMNS),
        "one text, us (median / p99)",
        f"one text after {WALKED >> 20} MB of other work, us",
        "start, ms",
        "private MB",
        "peak MB",
        "installed MB",
    ]
    return str(tabulate(out, head, tablefmt="github"))


if __name__ == "__main__":
    main()
