"""The files beside the graphs that other programs read: tokenizer and configuration.

Who reads what: transformers.js tokenizer.json, tokenizer_config.json and config.json; FastEmbed these and
special_tokens_map.json; Text Embeddings Inference tokenizer.json and config.json.
"""

import json
from itertools import chain, count
from pathlib import Path
from typing import Any

from m2v_export.source.embedding import Embedding
from m2v_export.source.model import Source

UNLIMITED_LENGTH = int(1e30)
"""How the transformers library writes that a model has no longest text."""

LARGEST_INT32 = 2**31 - 1
"""For programs that keep the longest text's length in an int32."""

PAD_TOKENS = ("[PAD]", "<pad>")
"""Names for what texts are filled up with; the first that the vocabulary lacks serves where it has none of its own."""

EXTERNAL_DATA_FILES = 1
"""For transformers.js: that model.onnx keeps its weights in one more file."""


def write_tokenizer(path: Path, source: Source) -> None:
    """tokenizer.json without a post-processor, so that nobody adds special tokens.

    :raises OSError: when it cannot be written.
    """
    tokenizer = source.tokenizer
    tokenizer.post_processor = None
    tokenizer.no_padding()
    if source.max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(source.max_length)
    try:
        tokenizer.save(str(path), pretty=False)
    except Exception as error:  # tokenizers raises bare Exception, for a full disk too
        raise OSError(f"{path.name}: {error}") from error
    tokenizer.no_truncation()


def tokenizer_files(source: Source) -> dict[str, bytes]:
    """The tokenizer's settings, for the programs above."""
    # A role makes a token special in transformers, and cuts texts at it: what is an ordinary piece must not get one.
    added = source.tokenizer.get_added_tokens_decoder().values()
    specials = {token.content for token in added if token.special}
    roles = {"pad_token": _pad_token(source)[0], "unk_token": _token(source, source.embedding.unk_token_id)}
    special = {role: token for role, token in roles.items() if token in specials}
    if "pad_token" not in special:
        # Some programs cannot do without; which id it has does not matter, for the attention mask leaves it out.
        names = chain(PAD_TOKENS, (f"<|pad_{i}|>" for i in count()))
        roles["pad_token"] = next(name for name in names if source.tokenizer.token_to_id(name) is None)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": source.max_length or UNLIMITED_LENGTH,
        "max_length": source.max_length or LARGEST_INT32,  # FastEmbed takes neither null nor 1e30
        "clean_up_tokenization_spaces": False,
        "pad_token": roles["pad_token"],
        **special,
    }
    return {
        "tokenizer_config.json": _pretty(settings),
        "special_tokens_map.json": _pretty(special),
    }


def config(source: Source, single_file: bool, manifest_key: str, manifest: dict[str, Any]) -> bytes:
    """config.json: the source's own entries, what the readers above look for, and the bundle's list of files.

    In a browser transformers.js looks for an int8 file by default. Where there is only model.onnx, it is told so here.
    """
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
    told: dict[str, Any] = {} if "variants" in manifest else {"dtype": "fp32"}
    if not single_file:
        told["use_external_data_format"] = {"model.onnx": EXTERNAL_DATA_FILES}
    if told:
        value["transformers.js_config"] = told
    return _pretty(value)


def _pad_token(source: Source) -> tuple[str, int]:
    """What to fill up with; any token would do, for the attention mask leaves it out."""
    tokenizer = source.tokenizer
    padding = source.vocabulary.padding
    if padding is not None:
        return padding["pad_token"], padding["pad_id"]
    for token in PAD_TOKENS:
        token_id = tokenizer.token_to_id(token)
        if token_id is not None:
            return token, token_id
    token_id = source.embedding.unk_token_id or 0
    return tokenizer.id_to_token(token_id) or "", token_id


def _token(source: Source, token_id: int | None) -> str | None:
    return None if token_id is None else source.tokenizer.id_to_token(token_id)


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
