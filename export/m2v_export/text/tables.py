"""Everything that the graph knows of a tokenizer, read from the tokenizer itself."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m2v_export.text.added import added_table
from m2v_export.text.alphabet import DROPPED, SEPARATOR, Alphabet, read_alphabet
from m2v_export.text.decode import MOST_SAID, PAGE, CodeTables, Normalization
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.order import classes_of
from m2v_export.text.probe import CODE_POINTS, Characters, Kind, moving_marks, read_characters
from m2v_export.text.utf8 import AFTER, SYMBOLS
from m2v_export.text.vocabulary import Trie, Words, read_trie, read_words


@dataclass(frozen=True, eq=False)
class TextTables:
    """:ivar normalization: bytes to codes.
    :ivar words: whole words.
    :ivar trie: pieces.
    :ivar unk_id: id of the unknown token.
    :ivar unk_is_piece: whether it is a piece of words that are known, too.
    :ivar longest_word: characters of the longest word that is not unknown for its length.
    """

    normalization: Normalization
    words: Words
    trie: Trie
    unk_id: int
    unk_is_piece: bool
    longest_word: int

    @property
    def alphabet(self) -> Alphabet:
        return self.normalization.alphabet

    def means_unknown(self, token_id: int) -> bool:
        """Whether a token stands for unknown words and nothing else."""
        return token_id == self.unk_id and not self.unk_is_piece


PARTS = {
    "normalizer": ("BertNormalizer", None),
    "pre_tokenizer": ("BertPreTokenizer",),
    "model": ("WordPiece",),
}
"""What can be put into a graph: part of tokenizer.json, and its types; None where there may be none."""

LONGEST_WORD = 1 << 30
"""No word is longer; what the tokenizer calls its limit may not fit into an int32."""


def read_tables(tokenizer: Tokenizer) -> TextTables:
    """Ask the tokenizer all that the graph must know.

    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    config = json.loads(tokenizer.to_str())
    for part, types in PARTS.items():
        got = (config[part] or {}).get("type")
        if got not in types:
            known = " or ".join(map(str, types))
            raise UnsupportedTokenizer(f"{part}: expected {known}, got {got}")
    model = config["model"]
    if model["unk_token"] not in model["vocab"]:
        raise UnsupportedTokenizer(f"model: the unknown token {model['unk_token']!r} is not in the vocabulary")
    try:
        return _read(tokenizer, config)
    except UnsupportedTokenizer:
        raise
    except ValueError as error:
        raise UnsupportedTokenizer(str(error)) from error


def _read(tokenizer: Tokenizer, config: Mapping[str, Any]) -> TextTables:
    model = config["model"]
    vocab: dict[str, int] = model["vocab"]
    tokens = _added_tokens(tokenizer, config["added_tokens"])
    characters = read_characters(tokenizer)
    longest_word = int(model["max_input_chars_per_word"])
    begins, insides = pieces_of(characters, vocab, model["continuing_subword_prefix"], longest_word)
    normalized = {t["content"]: _normalized_content(characters, t["content"]) for t in tokens if t["normalized"]}
    _check_different(normalized)
    single = {c for content in normalized.values() for c in content}
    alphabet = read_alphabet(characters, [*begins, *insides, *sorted(single)], [t["content"] for t in tokens])
    sorts_marks = _strips_accents(config["normalizer"])
    if sorts_marks:
        _check_marks(characters, single)

    def coded(pieces: Mapping[str, int]) -> dict[tuple[int, ...], int]:
        return {tuple(alphabet.codes[c] for c in piece): token_id for piece, token_id in pieces.items()}

    unk_id = vocab[model["unk_token"]]
    # The unknown token, where a text has it, is found as an unknown word.
    words = coded(begins) | {(alphabet.added[t["content"]],): t["id"] for t in tokens if t["id"] != unk_id}
    raw = {tuple(t["content"].encode()): alphabet.added[t["content"]] for t in tokens if not t["normalized"]}
    in_codes = {
        tuple(alphabet.codes[c] for c in content): alphabet.added[token] for token, content in normalized.items()
    }
    return TextTables(
        normalization=Normalization(
            alphabet=alphabet,
            codes=read_codes(characters, alphabet),
            added=added_table(raw, SYMBOLS),
            normalized=added_table(in_codes, alphabet.size),
            mark_classes=classes_of(alphabet) if sorts_marks else None,
        ),
        words=read_words(alphabet, words),
        trie=read_trie(alphabet, coded(begins), coded(insides)),
        unk_id=unk_id,
        unk_is_piece=unk_id in {*begins.values(), *insides.values()},
        longest_word=min(longest_word, LONGEST_WORD),
    )


def pieces_of(
    characters: Characters, vocab: Mapping[str, int], prefix: str, longest_word: int
) -> tuple[dict[str, int], dict[str, int]]:
    """The pieces that normalized text can have: ids of those at a word's begin, and of those inside a word."""

    def can_be_met(piece: str, kind: Kind) -> bool:
        return all(characters.kind(c) == kind and characters.can_be_met(c) for c in piece)

    def in_one_word(piece: str) -> bool:
        return 0 < len(piece) <= longest_word and can_be_met(piece, Kind.WORD)

    def alone(piece: str) -> bool:
        return len(piece) == 1 <= longest_word and can_be_met(piece, Kind.ISOLATED)

    begins = {token: i for token, i in vocab.items() if in_one_word(token) or alone(token)}
    inside = {token.removeprefix(prefix): i for token, i in vocab.items() if token.startswith(prefix)}
    return begins, {piece: i for piece, i in inside.items() if in_one_word(piece)}


def read_codes(characters: Characters, alphabet: Alphabet) -> CodeTables:
    """The codes of every byte and code point."""
    expansions: dict[tuple[int, ...], int] = {}

    def code(character: str) -> int:
        codes = tuple(alphabet.code(c, characters.kind(c)) for c in characters.form(character))
        if len(codes) == 1:
            return codes[0]
        return DROPPED if not codes else DROPPED + 1 + expansions.setdefault(codes, len(expansions))

    # All characters of a kind at once, then those that have a code or become something else.
    of_code_point = np.full(CODE_POINTS, alphabet.foreign_word, np.int32)
    for kind, usual in ((Kind.ISOLATED, alphabet.foreign_isolated), (Kind.SEPARATOR, SEPARATOR)):
        of_code_point[[ord(c) for c, its in characters.kinds.items() if its == kind]] = usual
    of_code_point[[ord(c) for c, form in characters.forms.items() if not form]] = DROPPED
    for character in sorted({*alphabet.codes, *(c for c, form in characters.forms.items() if form)}):
        of_code_point[ord(character)] = code(character)
    pages: dict[bytes, int] = {}
    page = [pages.setdefault(codes.tobytes(), len(pages)) * PAGE for codes in of_code_point.reshape(-1, PAGE)]
    of_paged = np.frombuffer(b"".join(pages), np.int32)
    of_byte = np.full(SYMBOLS, DROPPED, np.int32)
    of_byte[:128] = of_code_point[:128]
    of_byte[AFTER:] = alphabet.end, SEPARATOR
    longest = max(map(len, expansions), default=0)
    rows = [[*codes, *[DROPPED] * (longest - len(codes))] for codes in expansions]
    table = np.array(rows, np.int32).reshape(len(rows), longest)
    page += [0] * (MOST_SAID // PAGE - len(page))
    return CodeTables(of_byte, np.array(page, np.int32), of_paged, table)


def _added_tokens(tokenizer: Tokenizer, tokens: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The added tokens that the tokenizer looks for.

    ``lstrip`` and ``rstrip`` need no care: what they take away is white space, which ends a word anyway, and so does
    the token. Only where a token begins or ends with white space itself could they take that away.
    """
    kept = [token for token in tokens if token["content"]]
    for token in kept:
        name, content = f"added token {token['content']!r}", token["content"]
        if token["single_word"]:
            raise UnsupportedTokenizer(f"{name}: single_word")
        if token["special"] and tokenizer.encode_special_tokens:
            raise UnsupportedTokenizer(f"{name}: encode_special_tokens")
        if content[0] == REPLACEMENT:
            raise UnsupportedTokenizer(f"{name}: it begins with U+FFFD")
        for strip in ("lstrip", "rstrip"):
            if token[strip] and (token["normalized"] or any(t["content"] != t["content"].strip() for t in kept)):
                raise UnsupportedTokenizer(f"{name}: {strip} of a normalized token, or beside one with spaces")
    return kept


REPLACEMENT = "\ufffd"
"""What stands for bytes that are no UTF-8; so the graph looks for added tokens by their first bytes alone."""


def _normalized_content(characters: Characters, content: str) -> str:
    """:raises UnsupportedTokenizer: where what it becomes cannot be found in codes."""
    normalized = characters.form(content)
    if not normalized or any(characters.kind(c) == Kind.SEPARATOR for c in normalized):
        raise UnsupportedTokenizer(f"added token {content!r}: normalized, and it holds white space or nothing")
    return normalized


def _check_different(normalized: Mapping[str, str]) -> None:
    for form, count in Counter(normalized.values()).items():
        if count > 1:
            same = [content for content, its in normalized.items() if its == form]
            raise UnsupportedTokenizer(f"added tokens {same!r}: the same text once they are normalized")


def _strips_accents(normalizer: Mapping[str, Any] | None) -> bool:
    """Whether it decomposes, and so sorts marks."""
    if normalizer is None:
        return False
    return bool(normalizer["lowercase"] if normalizer["strip_accents"] is None else normalizer["strip_accents"])


def _check_marks(characters: Characters, added: Iterable[str]) -> None:
    """The graph sorts the marks in words alone, after the pieces' marks."""
    apart = [c for c in characters.kinds if characters.can_be_met(c)]
    for marks, where in ((moving_marks(sorted(added)), "in added tokens"), (moving_marks(apart), "outside words")):
        if marks:
            raise UnsupportedTokenizer(f"normalizer: strip_accents with the combining marks {_names(marks)} {where}")


def _names(characters: Sequence[str]) -> str:
    return ", ".join(f"U+{ord(c):04X}" for c in characters)
