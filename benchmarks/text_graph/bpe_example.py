"""What the graph of a byte-level BPE makes of one batch: the worked example of docs/text-graph-bpe.md.

python -m benchmarks.text_graph.bpe_example ["text" ...]
"""

import json
import sys

import numpy as np
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from benchmarks.text_graph.example import run_on
from m2v_export.graphs.arrays import keep, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe import build_ids, read_tables
from m2v_export.text.bpe.characters import read_characters
from m2v_export.text.bpe.cuts import words_begin
from m2v_export.text.bpe.expressions import EXPRESSIONS
from m2v_export.text.bpe.tokenize import places_of
from m2v_export.text.limits import Limits
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.words import WholeWords

MERGES = "h e|T he|Ġ w|a l|al e|h ale|Ġw hale|' s|e r|i n|r e|Ġ re|in d|2 0"
TEXTS = ["The whale's  reindeer, 2026!\n"]


def main() -> None:
    pairs = [(left, right) for left, right in (merge.split() for merge in MERGES.split("|"))]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*alphabet, *dict.fromkeys(a + b for a, b in pairs)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    split = pre_tokenizers.Split(Regex([*EXPRESSIONS][2]), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tables = read_tables(tokenizer, json.loads(tokenizer.to_str()))
    texts = sys.argv[1:] or TEXTS

    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    text = read_characters(g, decode(g, utf8), offsets, tables)
    begins = keep(g, text.at, words_begin(g, text, tables.expression, tables.contractions) > 0)
    found, differs = WholeWords(g, tables.words).find(g, places_of(g, text.symbols, begins, tables))
    ids, _ = build_ids(g, utf8, offsets, tables, Limits.of(None, 6, None))
    shown: dict[str, Value] = {
        "kinds": text.kinds.slice(0, -2),
        "words begin at": begins.slice(0, -2),
        "found": found.slice(0, -1),
        "unfound words": positions(g, differs).slice(0, -1),
        "input_ids": ids,
    }
    results = run_on(g, shown.values(), texts)
    print(f"texts: {texts}")
    for name, result in zip(shown, results, strict=True):
        if name == "found":
            unfound = results[[*shown].index("unfound words")].tolist()
            named = [tokenizer.id_to_token(v) for i, v in enumerate(result.tolist()) if i not in unfound]
            print(f"{name}: {named}")
        else:
            print(f"{name}: {result.tolist()}")
    print(f"tokens: {[tokenizer.id_to_token(i) for i in results[-1].tolist()]}")


if __name__ == "__main__":
    main()
