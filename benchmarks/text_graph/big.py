"""text.onnx for large vocabularies: what the tokenizer adds to the files, and to the time to open one.

    python -m benchmarks.text_graph.big FOLDER

Writes to FOLDER a WordLevel model of 400,000 words and a WordPiece model of 500,354 cased pieces, and a bundle of each
for ``benchmarks.kinds`` and ``benchmarks.parity.text_graph``. Words are those of ../shared's corpora, the most frequent
first, and made-up ones for what is missing; pieces are those of ../shared/models/multilingual. Tables are random.
Opening is by one thread, the median of 9.
"""

import argparse
import json
import random
import statistics
import time
from collections import Counter
from gzip import compress
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from benchmarks.shared import SHARED, lines, need_shared
from m2v_export import export_model
from m2v_onnx.ort import onnxruntime as ort

SPECIAL = ("[PAD]", "[UNK]")
WORDS = 400_000
DIM = 16
OPENINGS = 9


def word_level() -> Tokenizer:
    cut = pre_tokenizers.Whitespace()
    counts: Counter[str] = Counter()
    for corpus in ("sentences_en.txt", "multilingual.txt"):
        for line in lines(corpus):
            counts.update(word for word, _ in cut.pre_tokenize_str(line.lower()))
    words = dict.fromkeys([*SPECIAL, *(word for word, _ in counts.most_common())])
    rng, parts = random.Random(0), [word for word in list(words)[:30_000] if word.isalpha()]
    while len(words) < WORDS:
        words[rng.choice(parts) + rng.choice(parts)] = None
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(list(words)[:WORDS])}, "[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), cut
    return tokenizer


def word_piece() -> Tokenizer:
    unigram = json.loads((SHARED / "models" / "multilingual" / "tokenizer.json").read_text("utf-8"))
    found = (piece for piece, _ in unigram["model"]["vocab"])
    pieces = dict.fromkeys([*SPECIAL, *(p[1:] if p.startswith("▁") else "##" + p for p in found if p != "▁")])
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def opening(path: Path) -> float:
    """:return: milliseconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    took = []
    for _ in range(OPENINGS):
        begin = time.perf_counter()
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        took.append(time.perf_counter() - begin)
    return statistics.median(took) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    need_shared()
    for name, tokenizer in (("WordLevel", word_level()), ("WordPiece", word_piece())):
        tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
        size = tokenizer.get_vocab_size()
        table = np.random.default_rng(0).standard_normal((size, DIM), np.float32)
        StaticModel(table, tokenizer).save_pretrained(folder / name)
        bundle = folder / f"{name}-onnx"
        begin = time.perf_counter()
        report = export_model(folder / name, bundle)
        took = time.perf_counter() - begin
        if report.notes:
            raise SystemExit(f"{name}: {report.notes}")
        graphs = bundle / "onnx"
        added = (graphs / "model.onnx_data").read_bytes()[table.nbytes :] + (graphs / "text.onnx").read_bytes()
        print(f"{name}, {size} tokens, exported in {took:.0f} s")
        print(f"  tokenizer {len(added) / 1e6:.1f} MB, {len(compress(added, 6)) / 1e6:.1f} MB gzipped")
        print(f"  opens in {opening(graphs / 'text.onnx'):.0f} ms, bag.onnx in {opening(graphs / 'bag.onnx'):.0f} ms")


if __name__ == "__main__":
    main()
