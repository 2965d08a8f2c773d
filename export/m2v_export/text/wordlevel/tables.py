"""Everything that the graph knows of a WordLevel tokenizer, read from the tokenizer itself."""

from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer

from m2v_export.text.wordpiece.tables import LONGEST_WORD, WordPieceTables, check_parts, read_words_and_pieces

PARTS = {
    "normalizer": ("BertNormalizer", "Lowercase", None),
    "pre_tokenizer": ("BertPreTokenizer", "Whitespace", "WhitespaceSplit"),
}
"""What can be in a graph beside the model, as in ``wordpiece.tables``."""


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> WordPieceTables:
    """Ask the tokenizer all that the graph must know.

    :param config: its tokenizer.json.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    check_parts(config, PARTS)
    return read_words_and_pieces(tokenizer, config, None, LONGEST_WORD)
