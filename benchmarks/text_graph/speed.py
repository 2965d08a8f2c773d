"""text.onnx against ``StaticModel.encode``, one thread each, in turn, packing of the bytes included.

    python -m benchmarks.text_graph.speed [--languages] [--threads | --against OTHER/text.onnx]

Texts are those of ../shared: English sentences of some 8 and 29 tokens, 18 of them joined for some 280, and with
``--languages`` lines in other scripts. Each figure is the median of rounds, in which each side goes through some
thousand texts; trust the ratios. Before it, what the tokenizer adds to a graph: size, and time to open. With
``--threads`` it is text.onnx by one thread against text.onnx by as many as onnxruntime takes when it is not told, with
``--against`` text.onnx against another one, of an export before a change.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from gzip import compress
from importlib.metadata import version
from pathlib import Path
from unicodedata import name as character_name

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
from model2vec import StaticModel

from benchmarks.shared import SHARED, lines, need_shared
from m2v_export import export_model
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_graph import pack

Side = Callable[[list[str]], object]
SOURCE = SHARED / "models" / "potion-base-2M"
BATCHES = (256, 16, 1)
TEXTS_A_ROUND = 4096
"""So many that it hardly counts that the first batches find the caches full of what the other side left there: two
batches a round take half as long again."""

SINGLE_TEXTS_A_ROUND = 512
ROUNDS = 9
SENTENCES_JOINED = 18
OPENINGS = 25
SCRIPTS = ("LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI", "THAI", "CJK", "HIRAGANA", "HANGUL", "GREEK", "HEBREW", "TAMIL")


def english(reference: StaticModel) -> dict[str, list[str]]:
    """Texts by name, of about one length."""
    rng = np.random.default_rng(0)
    sentences = rng.permutation(lines("sentences_en.txt")).tolist()
    joined = [" ".join(sentences[i : i + SENTENCES_JOINED]) for i in range(0, 40_000, SENTENCES_JOINED)]
    found = {}
    for tokens, texts in ((8, sentences), (29, sentences), (281, joined)):
        spread = max(2, tokens // 8)
        lengths = map(len, reference.tokenize(texts[:30_000]))
        found[f"{tokens} tokens"] = [t for t, n in zip(texts, lengths, strict=False) if abs(n - tokens) <= spread]
    return found


def scripts() -> dict[str, list[str]]:
    """Lines of multilingual.txt by the script that most of their letters have; Latin with accents at least."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines("multilingual.txt"):
        names = Counter(character_name(c, "?").split()[0] for c in line if c.isalpha())
        if names and not line.isascii():
            found[names.most_common(1)[0][0]].append(line)
    return {name: found[name] for name in SCRIPTS if len(found[name]) >= max(BATCHES)}


def race(sides: Sequence[Side], texts: list[str], batch: int) -> list[float]:
    """:return: microseconds a text of both sides, and the ratio of the second one's to the first one's."""
    count = min(len(texts), TEXTS_A_ROUND if batch > 1 else SINGLE_TEXTS_A_ROUND) // batch
    batches = [texts[i * batch : (i + 1) * batch] for i in range(count)]
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, of_side in zip(sides, seconds, strict=True):
            begin = time.perf_counter()
            for some in batches:
                side(some)
            of_side.append(time.perf_counter() - begin)
    ratio = statistics.median(b / a for a, b in zip(*seconds, strict=True))
    return [*(statistics.median(of) / count / batch * 1e6 for of in seconds), ratio]


def graph_side(graph: Path, threads: int) -> Side:
    """:param threads: 0 for as many as onnxruntime takes."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(texts: list[str]) -> None:
        utf8, offsets = pack(texts)
        session.run(["sentence_embedding"], {"utf8": utf8, "offsets": offsets})

    return run


def opening(graphs: list[Path], level: ort.GraphOptimizationLevel) -> list[float]:
    """:return: milliseconds to open each graph, in turn."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = 1, level
    seconds: list[list[float]] = [[] for _ in graphs]
    for _ in range(OPENINGS):
        for graph, of_graph in zip(graphs, seconds, strict=True):
            begin = time.perf_counter()
            ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            of_graph.append(time.perf_counter() - begin)
    return [statistics.median(of_graph) * 1e3 for of_graph in seconds]


def print_added(text: Path, other: Path) -> None:
    """What text.onnx has more than bag.onnx, or than another text.onnx."""
    files = [text, other]
    mine, its = (file.read_bytes() for file in files)
    size, zipped = len(mine) - len(its), len(compress(mine)) - len(compress(its))
    print(f"text.onnx beside the other {other.name}: {size / 1e6:.2f} MB more, {zipped / 1e6:.2f} gzipped")
    levels = ort.GraphOptimizationLevel
    for level, name in ((levels.ORT_ENABLE_ALL, "by default"), (levels.ORT_DISABLE_ALL, "in the runtime")):
        milliseconds = opening(files, level)
        print(f"opened {name} in {milliseconds[0]:.1f} ms, the other in {milliseconds[1]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", action="store_true", help="other scripts, in batches of 256")
    parser.add_argument("--threads", action="store_true", help="one thread against onnxruntime's choice")
    parser.add_argument("--against", type=Path, help="another text.onnx, of the same model")
    arguments = parser.parse_args()
    need_shared()
    reference = StaticModel.from_pretrained(SOURCE)
    with tempfile.TemporaryDirectory() as folder:
        graphs = export_model(SOURCE, Path(folder) / "bundle").folder / "onnx"
        sides = {"one thread us": graph_side(graphs / "text.onnx", 1)}
        if arguments.against:
            sides["the other us"] = graph_side(arguments.against, 1)
        elif arguments.threads:
            sides["default us"] = graph_side(graphs / "text.onnx", 0)
        else:
            sides["model2vec us"] = lambda texts: reference.encode(texts, show_progress_bar=False)
        print_added(graphs / "text.onnx", arguments.against or graphs / "bag.onnx")
    races = [(name, texts, batch) for name, texts in english(reference).items() for batch in BATCHES]
    if arguments.languages:
        races += [(name, texts, max(BATCHES)) for name, texts in scripts().items()]
    packages = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "model2vec", "tokenizers"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {packages}")
    print(" ".join([f"{'texts':12} {'batch':>5}", *(f"{name:>13}" for name in sides), f"{'times':>6}"]))
    for name, texts, batch in races:
        first, second, ratio = race([*sides.values()], texts, batch)
        print(f"{name:12} {batch:5} {first:13.1f} {second:13.1f} {ratio:6.2f}", flush=True)


if __name__ == "__main__":
    main()
