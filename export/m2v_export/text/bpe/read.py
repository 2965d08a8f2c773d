"""Which BPE a tokenizer has: byte-level, or SentencePiece's."""

from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from m2v_export.text.bpe import sentencepiece, tables


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> tables.BpeTables:
    """Ask the tokenizer all that the graph must know.

    :param config: its tokenizer.json.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    if config["model"].get("byte_fallback"):
        return sentencepiece.read_tables(tokenizer, config)
    return tables.read_tables(tokenizer, config)
