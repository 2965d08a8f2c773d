"""Holding text.onnx against the tokenizer it was made of: every code point, and texts that are hard to tokenize."""

from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer

from m2v_export.text.samples import code_point_texts, fuzzed_texts
from m2v_onnx.errors import ExportError
from m2v_onnx.models.format import TEXT
from m2v_onnx.vectors.batching import batches
from m2v_onnx.vectors.by_graph import TextGraph
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from m2v_onnx.vectors.ragged import drop, split
from m2v_onnx.vectors.session import Session, SessionConfig

FUZZED_TEXTS = 4000
BATCH = 512


def check_text_ids(graph: Path, tokenizer: Tokenizer, max_length: int | None) -> None:
    """:param graph: text.onnx, or the part of it that makes token ids.
    :raises ExportError: for the first text with other token ids.
    """
    tokens = TokenizersTokens.of(tokenizer)
    text_graph = TextGraph(Session(graph, SessionConfig()))
    for texts in batches(chain(fuzzed_texts(tokenizer, FUZZED_TEXTS), code_point_texts()), BATCH):
        expected = split(*drop(*tokens.ids(texts, max_length), tokens.unk_token_id))
        for text, got, want in zip(texts, split(*text_graph.ids(texts)), expected, strict=True):
            if got != want:
                raise ExportError(
                    f"{Path(TEXT).name} gives other token ids for {text[:60]!r}: expected {want[:20]}, got {got[:20]}."
                    " That is a fault of m2v-onnx: please report it with the model's name"
                )
