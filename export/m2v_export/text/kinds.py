"""The kinds of tokenizers that a graph can hold, by the type of their model.

A kind is two functions. One reads the tables off a tokenizer, or refuses and names the part that cannot be exact. The
other builds the operations that make token ids of bytes, with these tables. Another kind is one more entry here, and a
package beside ``wordpiece``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from m2v_export.graphs.builder import Graph, Value
from m2v_export.text import bpe, unigram, wordlevel, wordpiece
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.limits import Limits

BuildIds = Callable[[Graph, Value, Value, Limits], tuple[Value, Value]]
"""The graph; uint8 [T], the texts' bytes, end to end; int64 [N], where each text starts; limits. To int64 [T'] and
int64 [N]: token ids, and where each text's begin."""


@dataclass(frozen=True)
class TokenizerKind:
    """:ivar read_tables: the tokenizer and its tokenizer.json to tables; raises ``UnsupportedTokenizer``.
    :ivar build_ids: as ``BuildIds``, with the tables before the limits.
    """

    read_tables: Callable[[Tokenizer, Mapping[str, Any]], Any]
    build_ids: Callable[[Graph, Value, Value, Any, Limits], tuple[Value, Value]]


KINDS = {
    "BPE": TokenizerKind(bpe.read_tables, bpe.build_ids),
    "Unigram": TokenizerKind(unigram.read_tables, unigram.build_ids),
    "WordLevel": TokenizerKind(wordlevel.read_tables, wordlevel.build_ids),
    "WordPiece": TokenizerKind(wordpiece.read_tables, wordpiece.build_ids),
}
"""By the type of the model in tokenizer.json."""


def read_tokenizer(tokenizer: Tokenizer, config: Mapping[str, Any] | None = None) -> BuildIds:
    """Read the tables of a tokenizer.

    :param config: its tokenizer.json, where that is known. The tokenizer's model is not needed then: pieces are read
        from there, and only its other parts are asked.
    :return: what builds its token ids in a graph.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    if config is None:
        config = json.loads(tokenizer.to_str())
    model = config["model"]["type"]
    if model not in KINDS:
        raise UnsupportedTokenizer(f"model: expected {' or '.join(KINDS)}, got {model}")
    kind = KINDS[model]
    tables = kind.read_tables(tokenizer, config)

    def build_ids(g: Graph, utf8: Value, offsets: Value, limits: Limits) -> tuple[Value, Value]:
        return kind.build_ids(g, utf8, offsets, tables, limits)

    return build_ids
