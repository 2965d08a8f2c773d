"""SentencePiece's BPE, as Llama 2, Mistral and Gemma have it: no words, and symbols are characters.

A blank stands for a space. Here it is the other way round: the blanks of a text become spaces, which are one byte, and
so do those of the vocabulary. A character that is no token is the tokens of its bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m2v_export.text.bpe.merges import last_merges, read_merges
from m2v_export.text.bpe.pairs import CUT, read_pairs
from m2v_export.text.bpe.tables import (
    PACKED,
    WIDTH,
    WORD_BYTES,
    BpeTables,
    Ints,
    Prefix,
    check_model,
    read_added,
)
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import added_table, kept_tokens
from m2v_export.text.tables.pages import paged
from m2v_export.text.tables.probe import CODE_POINTS
from m2v_export.text.tables.utf8 import FIRST_CONTINUATION, NEVER_BYTES, SYMBOLS, byte_token
from m2v_export.text.tables.words import WordKeys, store_words

BLANK = "▁"
"""What stands for a space."""

NO_TOKEN = -1
"""In the place of a character's token."""

PREPEND = {"type": "Prepend", "prepend": BLANK}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> BpeTables:
    """As ``tables.read_tables``, of a model with byte fallback."""
    model = config["model"]
    vocabulary: dict[str, int] = model["vocab"]
    check_model(model)
    if model.get("ignore_merges"):
        raise UnsupportedTokenizer("model: ignore_merges of a model with byte_fallback")
    prefix, splits = _read_blanks(config["normalizer"], config["pre_tokenizer"])
    tokens = kept_tokens(tokenizer, config["added_tokens"])
    _check_added(tokens, has_normalizer=config["normalizer"] is not None, prepends=prefix is not None)
    of_byte = _read_bytes(vocabulary)
    # Spaces have become blanks, so nothing with a space is ever merged.
    merges = [(left, right) for left, right in model["merges"] if " " not in left + right]
    last = last_merges(vocabulary, merges)
    bytes_ = {byte_token(byte) for byte in range(0x100)}
    for _, pair in last.values():
        if not bytes_.isdisjoint(pair):
            raise UnsupportedTokenizer(f"model: a merge of {pair[0]!r} and {pair[1]!r}, one of which is a byte")
    characters = {c: token_id for c, token_id in vocabulary.items() if len(c) == 1 and c != " "}
    own = sorted({*characters, *(token[i] for token in last for i in (0, -1))})
    stored = read_merges(vocabulary, last, {c: i for i, c in enumerate(own)})
    words = {_symbols(token): vocabulary[token] for token in (*characters, *last)}
    words |= {(byte + 1,): int(of_byte[byte]) for byte in range(FIRST_CONTINUATION)}
    words |= {(SYMBOLS + i + 1,): token["id"] for i, token in enumerate(tokens)}
    symbols = SYMBOLS + len(tokens)
    pairs, classes = read_pairs((pair for _, pair in last.values()), apart=BLANK if splits else "")
    classes[ord(" ")], classes[ord(BLANK)] = classes[ord(BLANK)], CUT
    of_symbol = np.full(symbols, CUT, np.int32)
    of_symbol[:FIRST_CONTINUATION] = classes[:FIRST_CONTINUATION]
    of_character = np.full(CODE_POINTS, NO_TOKEN, np.int32)
    of_character[[ord(c) for c in characters]] = [*characters.values()]
    blanks = added_table({tuple(BLANK.encode()): ord(" ")}, symbols)
    assert blanks is not None
    return BpeTables(
        cuts=pairs,
        kinds=of_symbol,
        kinds_of_code_point=paged(classes),
        added=(*read_added(tokens, symbols), blanks),
        strips=np.zeros((2, symbols), np.int32),
        words=store_words(WordKeys(WIDTH, PACKED, -(-WORD_BYTES // PACKED)), words),
        of_byte=np.array([*of_byte, stored.no_token], np.int32),
        of_character=paged(of_character),
        merges=stored,
        prefix=prefix,
        composition=None,
    )


def _symbols(token: str) -> tuple[int, ...]:
    return tuple(byte + 1 for byte in token.replace(BLANK, " ").encode())


def _read_bytes(vocabulary: Mapping[str, int]) -> Ints:
    """:return: int32 [256], the token of each byte, or of the character that it is."""
    of_byte = np.zeros(0x100, np.int32)
    for byte in {*range(0x100)} - NEVER_BYTES:
        character = chr(byte) if byte < FIRST_CONTINUATION else ""
        ways = (BLANK if character == " " else character, byte_token(byte))
        found = next((vocabulary[way] for way in ways if way in vocabulary), None)
        if found is None:
            raise UnsupportedTokenizer(f"model: no token {ways[1]} for a byte, so that characters may be unknown")
        of_byte[byte] = found
    return of_byte


def _read_blanks(
    normalizer: Mapping[str, Any] | None, pre_tokenizer: Mapping[str, Any] | None
) -> tuple[Prefix | None, bool]:
    """:return: what is put before a text, and whether each blank begins a word."""
    steps: Sequence[Mapping[str, Any]] = [] if normalizer is None else normalizer.get("normalizers", [normalizer])
    if steps:
        if [*steps] not in ([REPLACE], [PREPEND, REPLACE]):
            got = " and ".join(step["type"] for step in steps)
            raise UnsupportedTokenizer(
                f"normalizer: expected Replace of a space by {BLANK}, with Prepend or not, got {got}"
            )
        # No spaces are left to split at.
        if pre_tokenizer is not None and not (
            pre_tokenizer["type"] == "Split"
            and pre_tokenizer["pattern"] == {"String": " "}
            and not pre_tokenizer["invert"]
        ):
            raise UnsupportedTokenizer(f"pre_tokenizer: {pre_tokenizer['type']} behind Replace of a space")
        return (Prefix(before_blanks=True, behind_added=True) if len(steps) > 1 else None), False
    if pre_tokenizer is None or pre_tokenizer["type"] != "Metaspace" or pre_tokenizer["replacement"] != BLANK:
        got = "none" if pre_tokenizer is None else pre_tokenizer["type"]
        raise UnsupportedTokenizer(
            f"pre_tokenizer: expected Metaspace of {BLANK} where there is no normalizer, got {got}"
        )
    scheme = pre_tokenizer["prepend_scheme"]
    prefix = None if scheme == "never" else Prefix(before_blanks=False, behind_added=scheme == "always")
    return prefix, pre_tokenizer["split"]


def _check_added(tokens: Sequence[Mapping[str, Any]], *, has_normalizer: bool, prepends: bool) -> None:
    for token in tokens:
        name = f"added token {token['content']!r}"
        for strip in ("lstrip", "rstrip"):
            if token[strip]:
                raise UnsupportedTokenizer(f"{name}: {strip}, where spaces are tokens")
        if token["normalized"] and has_normalizer and (prepends or not {" ", BLANK}.isdisjoint(token["content"])):
            raise UnsupportedTokenizer(f"{name}: normalized, and the normalizer changes it")
