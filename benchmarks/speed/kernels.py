"""Where the time of a batch goes: kernels of bag.onnx, the tokenizer, and the rest, in nanoseconds a text on one core.

python -m benchmarks.speed.kernels [BUNDLE]
"""

import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tabulate import tabulate

from benchmarks.speed.texts import sets
from m2v_onnx import OnnxStaticModel
from m2v_onnx.ort import onnxruntime

BUNDLE = Path(__file__).parents[2] / "models" / "potion-base-2M-onnx"
TEXTS = 20_000
SHOWN = 12


def main() -> None:
    bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLE
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    texts = sets()["sentences"][:TEXTS]
    model = OnnxStaticModel.from_pretrained(bundle, tokenizer="nanotoken", threads=1)
    seconds = min(timed(model, texts) for _ in range(7))
    tokens = sum(map(len, model.tokenize(texts))) / len(texts)
    characters = sum(map(len, texts)) / len(texts)
    per_text = f"{seconds / len(texts) * 1e9:.0f} ns a text"
    print(f"{per_text} of {characters:.0f} characters, {tokens:.1f} tokens, {model.dim} dimensions")
    print(tabulate(functions(model, texts), ["function", "ns a text"], tablefmt="github"), end="\n\n")
    print(tabulate(kernels(bundle, texts), ["kernel", "starts", "ns a text"], tablefmt="github"))


def timed(model: OnnxStaticModel, texts: list[str]) -> float:
    begin = time.perf_counter()
    model.encode(texts)
    return time.perf_counter() - begin


def functions(model: OnnxStaticModel, texts: list[str]) -> list[list[object]]:
    profile = cProfile.Profile()
    profile.runcall(model.encode, texts)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    rows = sorted(((own, name) for (_, _, name), (_, _, own, _, _) in stats.items()), reverse=True)
    return [[name, f"{own / len(texts) * 1e9:.0f}"] for own, name in rows[:SHOWN]]


def kernels(bundle: Path, texts: list[str]) -> list[list[object]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        model = OnnxStaticModel.from_pretrained(bundle, tokenizer="nanotoken", threads=1, session_options=options)
        model.encode(texts)
        del model
        events = [json.loads(path.read_text()) for path in Path(folder).iterdir()]
    spent: Counter[str] = Counter()
    starts: Counter[str] = Counter()
    for event in (event for of in events for event in of):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            name = event["name"].removesuffix("_kernel_time")
            spent[name] += event["dur"]
            starts[name] += 1
    return [[name, starts[name], f"{spent[name] / len(texts) * 1e3:.0f}"] for name, _ in spent.most_common(SHOWN)]


if __name__ == "__main__":
    main()
