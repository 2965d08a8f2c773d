"""The files beside the graphs that other programs read: tokenizer and configuration.

Who reads what: transformers.js tokenizer.json, tokenizer_config.json and config.json; FastEmbed these and
special_tokens_map.json; Text Embeddings Inference tokenizer.json and config.json.
"""

import json
from typing import Any

from m2v_export.source.embedding import Embedding
from m2v_export.source.model import Source
from m2v_onnx.models.format import TOKENIZER

UNLIMITED_LENGTH = int(1e30)
"""How the transformers library writes that a model has no longest text."""

LARGEST_INT32 = 2**31 - 1
"""For programs that keep the longest text's length in an int32."""

EXTERNAL_DATA_FILES = 1
"""For transformers.js: that model.onnx keeps its weights in one more file."""


def tokenizer_files(source: Source) -> dict[str, bytes]:
    """tokenizer.json without a post-processor, so that nobody adds special tokens, and its settings."""
    tokenizer = json.loads(source.tokenizer.to_str())
    tokenizer["post_processor"] = None
    tokenizer["padding"] = None
    tokenizer["truncation"] = None
    if source.max_length is not None:
        tokenizer["truncation"] = {
            "direction": "Right",
            "max_length": source.max_length,
            "strategy": "LongestFirst",
            "stride": 0,
        }
    added = [token["content"] for token in tokenizer["added_tokens"]]
    pad_token = _pad_token(source)[0]
    roles = {"pad_token": pad_token, "unk_token": _token(source, source.embedding.unk_token_id)}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": source.max_length or UNLIMITED_LENGTH,
        "max_length": source.max_length or UNLIMITED_LENGTH,
        "clean_up_tokenization_spaces": False,
        **{role: token for role, token in roles.items() if token is not None},
    }
    special = {role: token for role, token in roles.items() if token in added}
    return {
        TOKENIZER: json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")).encode(),
        "tokenizer_config.json": _pretty(settings),
        "special_tokens_map.json": _pretty(special),
    }


def config(source: Source, single_file: bool, manifest_key: str, manifest: dict[str, Any]) -> bytes:
    """config.json: the source's own entries, what the readers above look for, and the bundle's list of files."""
    embedding: Embedding = source.embedding
    value = {
        **source.config,
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "hidden_dim": embedding.dim,
        "hidden_size": embedding.dim,
        "vocab_size": embedding.tokens,
        "max_position_embeddings": source.max_length or LARGEST_INT32,
        "num_hidden_layers": 0,  # Text Embeddings Inference reads no config without it
        "pad_token_id": _pad_token(source)[1],
        "normalize": source.normalize,
        "max_length": source.max_length,
        "embedding_dtype": embedding.precision,
        manifest_key: manifest,
    }
    if not single_file:
        value["transformers.js_config"] = {"use_external_data_format": {"model.onnx": EXTERNAL_DATA_FILES}}
    return _pretty(value)


def _pad_token(source: Source) -> tuple[str, int]:
    """What to fill up with; any token would do, for the attention mask leaves it out."""
    tokenizer = source.tokenizer
    if tokenizer.padding is not None:
        return tokenizer.padding["pad_token"], tokenizer.padding["pad_id"]
    for token in ("[PAD]", "<pad>"):
        token_id = tokenizer.token_to_id(token)
        if token_id is not None:
            return token, token_id
    token_id = source.embedding.unk_token_id or 0
    return tokenizer.id_to_token(token_id) or "", token_id


def _token(source: Source, token_id: int | None) -> str | None:
    return None if token_id is None else source.tokenizer.id_to_token(token_id)


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
