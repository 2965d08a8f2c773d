"""A batch of texts for the programs of this folder, a line on standard output: texts.py BUNDLE TEXT ...

It needs the package tokenizers, and the bundle's tokenizer.json and config.json.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer


def tokens(bundle: Path, texts: Sequence[str]) -> list[list[int]]:
    """Each text's token ids, cut as model2vec cuts them."""
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    limit = json.loads((bundle / "config.json").read_bytes())["max_length"]  # None for no limit
    characters = limit and limit * int(statistics.median(map(len, tokenizer.get_vocab())))
    encodings = tokenizer.encode_batch([text[:characters] for text in texts], add_special_tokens=False)
    return [encoding.ids[:limit] for encoding in encodings]


def padded(ids: Sequence[Sequence[int]]) -> dict[str, list[list[int]]]:
    """What plain.onnx takes, [N, L] each: ids filled up with 0, and 1 where there is a token."""
    width = max([1, *map(len, ids)])
    return {
        "input_ids": [[*text, *[0] * (width - len(text))] for text in ids],
        "attention_mask": [[1] * len(text) + [0] * (width - len(text)) for text in ids],
    }


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python texts.py BUNDLE TEXT ...")
    batch = padded(tokens(Path(sys.argv[1]), sys.argv[2:]))
    print(json.dumps({name: {"shape": [len(of), len(of[0])], "data": [*chain(*of)]} for name, of in batch.items()}))
