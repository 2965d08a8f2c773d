"""What each stage of the text graph makes of one batch: the worked example of docs/text-graph.md.

python -m benchmarks.text_graph.example ["text" ...]
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

from m2v_export.graph import Graph, Value
from m2v_export.text import read_tables, tokenize
from m2v_export.text.cut import cut
from m2v_export.text.decode import codes_of
from m2v_export.text.pieces import Pieces, match_pieces
from m2v_export.text.utf8 import PADDED, symbols_of
from m2v_export.text.words import WholeWords, split_words
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
    symbols, starts = cut(g, symbols_of(g, utf8), offsets, MAX_LENGTH * MEDIAN_TOKEN_LENGTH)
    shown["bytes"] = symbols.slice(0, -PADDED)
    codes, starts = codes_of(g, symbols, starts, tables.codes)
    shown["codes"] = codes.slice(0, -PADDED)
    words = split_words(g, codes, starts, tables.alphabet)
    shown |= {"words begin at": words.starts, "words before each text": words.first_words}
    ids, found = WholeWords(g, tables.words, tables.alphabet).find(g, words)
    shown |= {"found whole": found, "their ids": ids}
    missed = g.op("NonZero", (~found).cast(np.int32)).reshape(-1)
    pieces = Pieces(g, tables.trie, tables.alphabet)
    piece_ids, _, counts = match_pieces(g, pieces, words, missed, tables.unk_id, tables.longest_word)
    shown |= {"missed words": missed, "their pieces": piece_ids, "pieces each": counts}
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
