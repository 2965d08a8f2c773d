"""What each stage of the text graph makes of one batch: the worked example of docs/text-graph.md.

python -m benchmarks.text_graph.example ["text" ...]
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m2v_export.graphs.arrays import positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.stages.cut import cut
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.words import split_words
from m2v_export.text.tables.utf8 import PADDED
from m2v_export.text.wordpiece import WordPieceTables, build_ids, read_tables
from m2v_export.text.wordpiece.pieces.match import match_pieces
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.whole import WholeWords
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_graph import pack

POTION = Path(__file__).parents[2] / "models" / "potion-base-2M" / "tokenizer.json"
TEXTS = ["Naïve unaffable 漢字!", ""]
MAX_LENGTH, MEDIAN_TOKEN_LENGTH = 512, 6


def main() -> None:
    tokenizer = Tokenizer.from_file(str(POTION))
    show(tokenizer, read_tables(tokenizer, json.loads(tokenizer.to_str())), sys.argv[1:] or TEXTS)


def show(tokenizer: Tokenizer, tables: WordPieceTables, texts: list[str]) -> None:
    """Print what each stage makes of some texts."""
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    shown: dict[str, Value] = {}
    symbols, starts = cut(g, utf8, offsets, MAX_LENGTH * MEDIAN_TOKEN_LENGTH)
    shown["bytes"] = symbols.slice(0, -PADDED)
    begins, starts = codes_of(g, symbols, starts, tables.normalization)
    shown["codes"] = begins.codes.slice(0, -PADDED)
    words = split_words(g, begins, tables.alphabet)
    pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
    whole, differs = WholeWords(g, pieces).find(g, words)
    unfound = positions(g, differs)
    merged, token_starts, _ = match_pieces(g, pieces, words, whole, unfound, starts, tables.longest_word)
    # Without the last word, which is the end.
    shown |= {"words begin at": words.starts.slice(0, -1), "their ids": pieces.ids(whole).slice(0, -1)}
    shown |= {"unfound words": unfound.slice(0, -1), "with their pieces": merged, "texts begin at": token_starts}
    kept, token_offsets = build_ids(g, utf8, offsets, tables, Limits.of(MAX_LENGTH, MEDIAN_TOKEN_LENGTH, tables.unk_id))
    shown |= {"input_ids": kept, "token_offsets": token_offsets}
    values = run_on(g, shown.values(), texts)
    print(f"texts: {texts}\noffsets: {pack(texts)[1].tolist()}")
    for name, value in zip(shown, values, strict=True):
        print(f"{name}: {value.tolist()}")
    print(f"tokens: {[tokenizer.id_to_token(i) for i in values[-2].tolist()]}")


def run_on(g: Graph, values: Iterable[Value], texts: Sequence[str]) -> list[Any]:
    """What some values of a graph of ``utf8`` and ``offsets`` are for these texts."""
    for i, value in enumerate(values):
        g.output(value, f"y{i}")
    packed: dict[str, Any] = dict(zip(("utf8", "offsets"), pack(texts), strict=True))
    results: list[Any] = ort.InferenceSession(g.model({}).SerializeToString()).run(None, packed)
    return results


if __name__ == "__main__":
    main()
