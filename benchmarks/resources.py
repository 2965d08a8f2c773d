"""What a process pays: time and private memory until the first vector, the import, the export of a large table.

    python -m benchmarks.resources

Each figure is the median of several processes, ours and model2vec's in turn, on a model of potion-base-8M's shape
(30,000 x 256, made here). Private memory is what the process would give back if it ended (psutil's uss).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tabulate import tabulate
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from m2v_export import export_model

ROUNDS = 7
TOKENS, DIM = 30_000, 256
LARGE_TOKENS = 500_000
POTION = Path(__file__).parents[1] / "models" / "potion-base-2M"

FIRST_VECTOR = {
    "model2vec": "from model2vec import StaticModel; m = StaticModel.from_pretrained({source!r})",
    "m2v-onnx": "from m2v_onnx import OnnxStaticModel; m = OnnxStaticModel.from_pretrained({bundle!r})",
}
"""What each does, up to the model's first text."""

IMPORTS = ("import m2v_onnx", "from m2v_onnx import OnnxStaticModel", "from m2v_onnx import Model2VecEmbeddingFunction")

AFTER = "; import psutil; print(psutil.Process().memory_full_info().uss)"


def run(code: str) -> tuple[float, str]:
    """:return: seconds from start to end of a process, and what it printed."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return time.perf_counter() - begin, done.stdout.strip()


def first_vector(source: Path, bundle: Path) -> list[list[object]]:
    """Milliseconds and private megabytes until the first vector of a text."""
    seconds: dict[str, list[float]] = {name: [] for name in FIRST_VECTOR}
    private: dict[str, list[float]] = {name: [] for name in FIRST_VECTOR}
    for _ in range(ROUNDS):
        for name, template in FIRST_VECTOR.items():
            code = template.format(source=str(source), bundle=str(bundle)) + "; m.encode(['the whale breathes'])"
            seconds[name].append(run(code)[0])
            private[name].append(int(run(code + AFTER)[1]) / 1e6)
    base = "model2vec"
    rows: list[list[object]] = []
    for name in FIRST_VECTOR:
        ms, mb = statistics.median(seconds[name]) * 1e3, statistics.median(private[name])
        ratios = ms / statistics.median(seconds[base]) / 1e3, mb / statistics.median(private[base])
        rows.append([name, f"{ms:.0f}", f"{ratios[0]:.2f}", f"{mb:.0f}", f"{ratios[1]:.2f}"])
    return rows


def imports() -> list[list[object]]:
    """Milliseconds beyond onnxruntime and numpy, measured inside each process."""
    begin = "import numpy, onnxruntime, time; begin = time.perf_counter(); "
    end = "; print(time.perf_counter() - begin)"
    seconds = {code: [float(run(begin + code + end)[1]) for _ in range(ROUNDS)] for code in IMPORTS}
    return [[code, f"{statistics.median(of) * 1e3:.1f}"] for code, of in seconds.items()]


def export_of_large_table(folder: Path) -> list[object]:
    """Peak memory of an export, against the table's size. A word-level vocabulary keeps the tokenizer out of it."""
    source = make_word_level(folder / "large", LARGE_TOKENS)
    code = (
        "from m2v_export import export_model;"
        f"export_model({str(source)!r}, {str(folder / 'large-bundle')!r});"
        # Not getrusage's ru_maxrss, which starts from this process' own.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    seconds, printed = run(code)
    table, peak = LARGE_TOKENS * DIM * 4, int(printed) * 1024
    return [
        f"{LARGE_TOKENS:,} x {DIM}",
        f"{table / 1e6:.0f}",
        f"{peak / 1e6:.0f}",
        f"{peak / table:.2f}",
        f"{seconds:.1f}",
    ]


def make_word_piece(folder: Path, tokens: int) -> Path:
    """potion-base-2M's tokenizer with a table of random rows."""
    tokenizer = Tokenizer.from_file(str(POTION / "tokenizer.json"))
    tokenizer.add_tokens([f"extra{i}" for i in range(tokens - tokenizer.get_vocab_size())])
    return save(folder, tokenizer, tokens)


def make_word_level(folder: Path, tokens: int) -> Path:
    vocabulary = {"[UNK]": 0, **{f"w{i}": i for i in range(1, tokens)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    return save(folder, tokenizer, tokens)


def save(folder: Path, tokenizer: Tokenizer, tokens: int) -> Path:
    table = np.random.default_rng(0).normal(size=(tokens, DIM)).astype(np.float32)
    StaticModel(vectors=table, tokenizer=tokenizer, normalize=True).save_pretrained(folder)
    return folder


def main() -> None:
    names = ("onnxruntime", "numpy", "tokenizers", "model2vec", "m2v-onnx")
    print(json.dumps({name: version(name) for name in names}), "Python", sys.version.split()[0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = make_word_piece(folder / "source", TOKENS)
        bundle = export_model(source, folder / "bundle").folder
        head = ["to the first vector", "ms", "ratio", "private MB", "ratio"]
        print(tabulate(first_vector(source, bundle), head, tablefmt="github"))
        print()
        print(tabulate(imports(), ["beyond onnxruntime and numpy", "ms"], tablefmt="github"))
        print()
        head = ["export", "table MB", "peak MB", "peak / table", "s"]
        print(tabulate([export_of_large_table(folder)], head, tablefmt="github"))


if __name__ == "__main__":
    main()
