"""What the graph of a BPE makes of one batch: the worked examples of docs/text-graph-bpe.md.

python -m benchmarks.text_graph.bpe_example [--sentencepiece] ["text" ...]
"""

import argparse
import json

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from benchmarks.text_graph.example import run_on
from m2v_export.graphs.arrays import keep, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe import build_ids, read_tables
from m2v_export.text.bpe.characters import read_characters
from m2v_export.text.bpe.expressions import EXPRESSIONS
from m2v_export.text.bpe.tokenize import begins_of, places_of
from m2v_export.text.limits import Limits
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.words import WholeWords

MERGES = "h e|T he|Ġ w|a l|al e|h ale|Ġw hale|' s|e r|i n|r e|Ġ re|in d|2 0"
TEXTS = ["The whale's  reindeer, 2026!\n"]


def byte_level() -> Tokenizer:
    pairs = read_pairs(MERGES)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocabulary_of(alphabet, pairs), pairs))
    split = pre_tokenizers.Split(Regex([*EXPRESSIONS][2]), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    return tokenizer


def sentencepiece() -> Tokenizer:
    """The same merges; letters are tokens, all else is bytes."""
    pairs = read_pairs(MERGES.replace("Ġ", "▁"))
    alphabet = [*(f"<0x{byte:02X}>" for byte in range(0x100)), "▁", *"Tabcdefghijklmnopqrstuvwxyz012'"]
    tokenizer = Tokenizer(models.BPE(vocabulary_of(alphabet, pairs), pairs, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer


def read_pairs(merges: str) -> list[tuple[str, str]]:
    return [(left, right) for left, right in (merge.split() for merge in merges.split("|"))]


def vocabulary_of(alphabet: list[str], pairs: list[tuple[str, str]]) -> dict[str, int]:
    return {token: i for i, token in enumerate([*alphabet, *dict.fromkeys(a + b for a, b in pairs)])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentencepiece", action="store_true", help="symbols are characters, and there are no words")
    parser.add_argument("texts", nargs="*", default=TEXTS)
    options = parser.parse_args()
    tokenizer = sentencepiece() if options.sentencepiece else byte_level()
    tables = read_tables(tokenizer, json.loads(tokenizer.to_str()))

    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    text = read_characters(g, decode(g, utf8), offsets, tables)
    begins = keep(g, text.at, begins_of(g, text, tables) > 0)
    found, differs = WholeWords(g, tables.words).find(g, places_of(g, text.symbols, begins, tables))
    ids, _ = build_ids(g, utf8, offsets, tables, Limits.of(None, 6, None))
    shown: dict[str, Value] = {
        "kinds": text.kinds.slice(0, -2),
        "words begin at": begins.slice(0, -2),
        "found": found.slice(0, -1),
        "unfound words": positions(g, differs).slice(0, -1),
        "input_ids": ids,
    }
    results = run_on(g, shown.values(), options.texts)
    print(f"texts: {options.texts}")
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
