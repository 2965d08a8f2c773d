"""What each stage of a WordLevel's graph makes of one batch: the worked example of docs/text-graph-wordlevel.md.

python -m benchmarks.text_graph.wordlevel_example ["text" ...]
"""

import json
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from benchmarks.text_graph.example import show
from m2v_export.text.wordlevel import read_tables

WORDS = ("[UNK]", "the", "whale", "don", "t", "'", "...", "antidisestablishmentarianism")
TEXTS = ["The whale... don't!", "Antidisestablishmentarianism"]


def main() -> None:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    show(tokenizer, read_tables(tokenizer, json.loads(tokenizer.to_str())), sys.argv[1:] or TEXTS)


if __name__ == "__main__":
    main()
