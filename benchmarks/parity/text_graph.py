"""The tokenizer inside text.onnx against `tokenizers`: every id, on hundreds of thousands of texts.

    python -m benchmarks.parity.text_graph [--fuzzed 200000] [--model PATH ...] [--only fuzzed ...]

PATH is a tokenizer.json of any kind, or a folder with one. Without ``--model``, the WordPiece models of ../shared and
the Unigram one. Leaves with 1 when an id differs. Small batches take the first texts of each set alone.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate
from tokenizers import Tokenizer

from benchmarks.shared import SHARED, lines, naughty_strings, need_shared
from m2v_export.graphs.builder import Graph
from m2v_export.text import Limits, read_tokenizer
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_tokenizers import find_unk_token_id

MODELS = ("potion-base-2M", "minilm-256", "multilingual")
BATCHES = {256: None, 4: 20_000}
"""Texts at once, and of how many: small batches of plain ones are tokenized in another way."""

MAX_LENGTH, MEDIAN_TOKEN_LENGTH = 512, 6
SHORT_LENGTH, SHORT_MEDIAN = 7, 3
"""Limits at which most texts are cut and truncated."""

INVALID_TEXTS = 10_000


def text_session(tokenizer: Tokenizer, max_length: int, median_token_length: int) -> ort.InferenceSession:
    build_ids = read_tokenizer(tokenizer)
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(g, utf8, offsets, Limits.of(max_length, median_token_length, find_unk_token_id(tokenizer)))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    options = ort.SessionOptions()
    # As every program of ours has it; onnxruntime 1.18 goes wrong with it in Unigram's loops.
    options.enable_mem_pattern = False
    return ort.InferenceSession(g.model({}).SerializeToString(), options, providers=["CPUExecutionProvider"])


def wrong_texts(
    session: ort.InferenceSession,
    tokenizer: Tokenizer,
    texts: Sequence[str | bytes],
    batch: int,
    max_length: int,
    median_token_length: int,
) -> Iterator[str | bytes]:
    """The texts of which an id differs."""
    unk_id = find_unk_token_id(tokenizer)
    for begin in range(0, len(texts), batch):
        some = texts[begin : begin + batch]
        encoded = [text.encode() if isinstance(text, str) else text for text in some]
        lengths = np.array([len(text) for text in encoded], np.int64)
        feeds = {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": np.cumsum(lengths) - lengths}
        ids, starts = session.run(None, feeds)
        ends = [*starts.tolist()[1:], len(ids)]
        cut = [text.decode("utf-8", "replace")[: max_length * median_token_length] for text in encoded]
        due = tokenizer.encode_batch_fast(cut, add_special_tokens=False)
        for text, first, end, expected in zip(some, starts.tolist(), ends, due, strict=True):
            if ids[first:end].tolist() != [i for i in expected.ids[:max_length] if i != unk_id]:
                yield text


def sweeps(tokenizer: Tokenizer, fuzzed: int) -> dict[str, Sequence[str | bytes]]:
    """Sets of texts by name."""
    unicode = sorted((SHARED / "data" / "unicode").glob("*.txt"))
    multilingual = lines("multilingual.txt")
    return {
        "code points, 3 contexts": list(code_point_texts()),
        "fuzzed": fuzzed_texts(tokenizer, fuzzed, seed=1),
        "not UTF-8": invalid_texts(INVALID_TEXTS),
        "multilingual.txt": multilingual,
        "sentences_en.txt": lines("sentences_en.txt"),
        "unicode/": [*(line for path in unicode for line in path.read_text("utf-8").splitlines()), *naughty_strings()],
        "past the cut": ["\n".join(multilingual[i : i + 200]) for i in range(0, len(multilingual), 200)],
    }


def check(path: Path, fuzzed: int, only: Sequence[str]) -> int:
    """Print what differs, of some sets of texts or of all. :return: how many texts do."""
    file = path / "tokenizer.json" if path.is_dir() else path
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    rows, total = [], 0
    for limits in ((MAX_LENGTH, MEDIAN_TOKEN_LENGTH), (SHORT_LENGTH, SHORT_MEDIAN)):
        session = text_session(tokenizer, *limits)
        for name, texts in sweeps(tokenizer, fuzzed).items():
            if only and name not in only:
                continue
            for batch, most in BATCHES.items():
                some = texts[:most]
                wrong = list(wrong_texts(session, tokenizer, some, batch, *limits))
                total += len(wrong)
                first = repr(wrong[0])[:60] if wrong else ""
                rows.append([limits[0], name, len(some), batch, len(wrong), first])
    print(f"{type(tokenizer.model).__name__}, {path}")
    print(tabulate(rows, ["max_length", "texts", "number", "batch", "differ", "the first"]), flush=True)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuzzed", type=int, default=200_000, help="fuzzed texts a model")
    parser.add_argument("--model", type=Path, nargs="*", default=None, help="tokenizer.json files, or folders")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets of texts")
    options = parser.parse_args()
    need_shared()
    models = options.model or [SHARED / "models" / name for name in MODELS]
    sys.exit(1 if sum(check(path, options.fuzzed, options.only) for path in models) else 0)


if __name__ == "__main__":
    main()
