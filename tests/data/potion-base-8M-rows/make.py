"""Make this folder's model.safetensors: the rows of minishlab/potion-base-8M that the texts of Milvus' page need.

    python tests/data/potion-base-8M-rows/make.py ../shared/models/potion-base-8M

All other tokens share a row of zeros, by a mapping as vocabulary-quantized models have it, so that 100 KB stand for the
genuine 30 MB and give the same vectors for these texts.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer


def main(source: Path) -> None:
    here = Path(__file__).parent
    page = json.loads((here / "milvus_page.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    encodings = tokenizer.encode_batch(page["documents"] + page["queries"], add_special_tokens=False)
    used = sorted({token for encoding in encodings for token in encoding.ids})
    table = load_file(source / "model.safetensors")["embeddings"]
    rows = np.concatenate([np.zeros((1, table.shape[1]), table.dtype), table[used]])
    mapping = np.zeros(len(table), np.uint16)
    mapping[used] = np.arange(1, len(used) + 1)
    save_file({"embeddings": rows, "mapping": mapping}, here / "model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
