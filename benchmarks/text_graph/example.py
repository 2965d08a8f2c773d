"""What each stage of the text graph makes of one batch: the worked example of docs/text-graph.md.

python -m benchmarks.text_graph.example ["text" ...]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m2v_export.graph import Graph, Value
from m2v_export.text import read_tables, tokenize
from m2v_export.text.arrays import positions
from m2v_export.text.cut import cut
from m2v_export.text.decode import codes_of
from m2v_export.text.missed import match_missed
from m2v_export.text.pieces import Pieces
from m2v_export.text.utf8 import PADDED
from m2v_export.text.words import WholeWords, split_words
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.text import pack

POTION = Path(__file__).parents[2] / "models" / "potion-base-2M" / "tokenizer.json"
TEXTS = ["Naïve unaffable 漢字!", ""]
MAX_LENGTH, MEDIAN_TOKEN_LENGTH = 512, 6


def main() -> None:
    tokenizer = Tokenizer.from_file(str(POTION))
    tables = read_tables(tokenizer)
    texts = sys.argv[1:] or TEXTS
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    shown: dict[str, Value] = {}
    symbols, starts = cut(g, utf8, offsets, MAX_LENGTH * MEDIAN_TOKEN_LENGTH)
    shown["bytes"] = symbols.slice(0, -PADDED)
    begins, starts = codes_of(g, symbols, starts, tables.normalization)
    shown["codes"] = begins.codes.slice(0, -PADDED)
    words = split_words(g, begins, tables.alphabet)
    ids, differs = WholeWords(g, tables.words).find(g, words)
    missed = positions(g, differs)
    pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
    merged, token_starts, _ = match_missed(g, pieces, words, ids, missed, starts, tables.longest_word)
    # Without the last word, which is the end.
    shown |= {"words begin at": words.starts.slice(0, -1), "their ids": ids.slice(0, -1)}
    shown |= {"missed words": missed.slice(0, -1), "with their pieces": merged, "texts begin at": token_starts}
    kept, token_offsets = tokenize(
        g,
        utf8,
        offsets,
        tables,
        max_length=MAX_LENGTH,
        median_token_length=MEDIAN_TOKEN_LENGTH,
        unk_token_id=tables.unk_id,
    )
    shown |= {"input_ids": kept, "token_offsets": token_offsets}
    for i, value in enumerate(shown.values()):
        g.output(value, f"y{i}")
    packed: dict[str, Any] = dict(zip(("utf8", "offsets"), pack(texts), strict=True))
    session = ort.InferenceSession(g.model({}).SerializeToString())
    values: list[Any] = session.run(None, packed)
    print(f"texts: {texts}\noffsets: {packed['offsets'].tolist()}")
    for name, value in zip(shown, values, strict=True):
        print(f"{name}: {value.tolist()}")
    print(f"tokens: {[tokenizer.id_to_token(i) for i in values[-2].tolist()]}")


if __name__ == "__main__":
    main()
