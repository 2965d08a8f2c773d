"""How many rounds of merges a byte-level BPE takes in the graph, and how many words are found whole.

    python -m benchmarks.text_graph.rounds TOKENIZER.json [--batches 3]

Batches of 256 lines of ../shared, shuffled. One merge a round in each word would take as many rounds as the word that
loses the most tokens; the graph's rounds are counted in onnxruntime's profile.
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tabulate import tabulate
from tokenizers import Tokenizer

from benchmarks.shared import lines, need_shared
from m2v_export.graphs.builder import Graph
from m2v_export.text.bpe import BpeTables, build_ids, read_tables
from m2v_export.text.limits import Limits
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_graph import pack

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--batches", type=int, default=3)
    options = parser.parse_args()
    need_shared()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    tables = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    rows = []
    for corpus in ("sentences_en.txt", "multilingual.txt"):
        texts = [*lines(corpus)]
        random.Random(1).shuffle(texts)
        for number in range(options.batches):
            batch = texts[number * BATCH :][:BATCH]
            rows.append([corpus, *of_words(tokenizer, batch, tables.words.keys.reach), rounds(tables, batch)])
    headers = ["batch of 256", "words", "found whole", "rounds of one merge", "rounds of the graph"]
    print(tabulate(rows, headers, floatfmt=".2f"))


def of_words(tokenizer: Tokenizer, batch: list[str], reach: int) -> tuple[int, float, int]:
    """:param reach: words of fewer bytes are found whole.
    :return: words, the share that is found whole, and the most merges of another.
    """
    normalized = (tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text for text in batch)
    words = [word for text in normalized for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)]
    # A character stands for a byte.
    tokens = [len(tokenizer.model.tokenize(word)) for word in words]
    whole = [count == 1 and len(word) < reach for word, count in zip(words, tokens, strict=True)]
    merges = [len(w) - n for w, n, found in zip(words, tokens, whole, strict=True) if not found]
    return len(words), sum(whole) / len(words), max(merges, default=0)


def rounds(tables: BpeTables, batch: list[str]) -> int:
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, _ = build_ids(g, utf8, offsets, tables, Limits.of(None, 6, None))
    g.output(ids, "ids")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.enable_mem_pattern, options.enable_profiling = 1, False, True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/profile"
        session = ort.InferenceSession(g.model({}).SerializeToString(), options)
        packed: dict[str, Any] = dict(zip(("utf8", "offsets"), pack(batch), strict=True))
        session.run(None, packed)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    names = Counter(event["name"] for event in events if event["name"].startswith("merges/"))
    return max(names.values(), default=0)


if __name__ == "__main__":
    main()
