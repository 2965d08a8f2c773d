"""How many rounds of merges a BPE takes in the graph, how long words are, and how many are found whole.

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
from benchmarks.text_graph.example import run_on
from m2v_export.graphs.arrays import keep
from m2v_export.graphs.builder import Graph
from m2v_export.text.bpe import BpeTables, build_ids, read_tables
from m2v_export.text.bpe.characters import read_characters
from m2v_export.text.bpe.sentencepiece import BLANK
from m2v_export.text.bpe.tables import byte_characters
from m2v_export.text.bpe.tokenize import begins_of, places_of
from m2v_export.text.limits import Limits
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.words import WholeWords
from m2v_export.text.tables.utf8 import AFTER
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
            rows.append([corpus, *of_words(tokenizer, tables, batch), rounds(tables, batch)])
    headers = [
        "batch of 256",
        "words",
        "found whole",
        "of others new",
        "of two tokens",
        "symbols a word",
        "most",
        "rounds of one merge",
        "of the graph",
    ]
    print(tabulate(rows, headers, floatfmt=".2f"))


def of_words(
    tokenizer: Tokenizer, tables: BpeTables, batch: list[str]
) -> tuple[int, float, float, float, float, int, int]:
    """:return: words; the share that is found whole; of the others the share that is not in the batch before, and the
    share that becomes two tokens; symbols of a word, the median and the most; and the most merges of a word that is not
    found whole.
    """
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    text = read_characters(g, decode(g, utf8), offsets, tables)
    begins = keep(g, text.at, begins_of(g, text, tables) > 0)
    _, differs = WholeWords(g, tables.words).find(g, places_of(g, text.symbols, begins, tables))
    symbols, places, missed = run_on(g, [text.symbols, begins, differs], batch)
    of_byte = byte_characters()
    others: list[tuple[str, int]] = []
    sizes = []
    for begin, end, is_missed in zip(places.tolist(), places.tolist()[1:-1], missed.tolist(), strict=False):
        its = symbols[begin:end].tolist()
        if max(its) >= AFTER:
            continue  # an added token
        if tables.of_character is None:
            word = "".join(of_byte[byte] for byte in its)
        else:
            word = bytes(its).decode().replace(" ", BLANK)
        sizes.append(len(word))
        if is_missed:
            others.append((word, len(tokenizer.model.tokenize(word))))
    count = max(len(others), 1)
    return (
        len(sizes),
        1 - len(others) / len(sizes),
        len({*others}) / count,
        sum(tokens == 2 for _, tokens in others) / count,
        float(np.median(sizes)),
        max(sizes),
        max((len(word) - tokens for word, tokens in others), default=0),
    )


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
