"""What the graph of a Unigram makes of one batch: the worked example of docs/text-graph-unigram.md.

python -m benchmarks.text_graph.unigram_example ["text" ...]
"""

import json
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from benchmarks.text_graph.example import run_on
from m2v_export.graphs.arrays import counted, look_up, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.words import WholeWords, begin_at, split_words
from m2v_export.text.unigram import build_ids, read_tables
from m2v_export.text.unigram.search import Search
from m2v_export.text.unigram.words import cut_words

MODEL = Path(__file__).parents[2] / "tests/data/model2vec-rs/vocab-quantized/tokenizer.json"
TEXTS = ["Naïve incompressible 漢字!"]


def main() -> None:
    tokenizer = Tokenizer.from_file(str(MODEL))
    config = json.loads(tokenizer.to_str())
    tables = read_tables(tokenizer, config)
    pieces = ["", *(piece for piece, _ in config["model"]["vocab"]), "an unknown character"]
    texts = sys.argv[1:] or TEXTS
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    begins, starts = codes_of(g, decode(g, utf8), offsets, tables.normalization)
    words = split_words(g, begins, tables.alphabet)
    values, differs = WholeWords(g, tables.words).find(g, words)
    first_words = look_up(g, counted(g, begin_at(words.nodes, tables.alphabet).cast(np.int32)), starts)
    unfound = positions(g, differs).slice(0, -1)
    search = Search(g, tables.pieces)
    several, sums = cut_words(g, search, words, unfound, first_words, tables)
    ends = several.ends(g)
    tokens = several.tokens(g, ends)
    kept, _ = build_ids(g, utf8, offsets, tables, Limits.of(None, 6, None))
    shown: dict[str, Value] = {
        "words begin at": words.starts.slice(0, -1),
        "found": values.slice(0, -1),
        "unfound words": unfound,
        "symbols of each": several.sizes,
        "best sums": sums,
        "pieces end at": positions(g, ends),
        "their pieces": tokens.values,
        "input_ids": kept,
    }
    results = run_on(g, shown.values(), texts)
    print(f"texts: {texts}")
    for name, result in zip(shown, results, strict=True):
        if name == "found":
            named = [pieces[v] for i, v in enumerate(result.tolist()) if i not in results[2]]
        elif name == "their pieces":
            named = [pieces[v] for v in result.tolist()]
        else:
            named = [round(v, 2) for v in result.tolist()]
        print(f"{name}: {named}")
    print(f"tokens: {[tokenizer.id_to_token(i) for i in results[-1].tolist()]}")


if __name__ == "__main__":
    main()
