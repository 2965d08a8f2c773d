"""Everything that the graph knows of a WordPiece tokenizer, read from the tokenizer itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import added_table, check_different, check_strips, kept_tokens, normalized_content
from m2v_export.text.tables.alphabet import Alphabet, read_alphabet
from m2v_export.text.tables.marks import classes_of, moving_marks
from m2v_export.text.tables.normalization import Normalization, read_codes
from m2v_export.text.tables.probe import Characters, Kind, read_characters
from m2v_export.text.tables.utf8 import SYMBOLS
from m2v_export.text.wordpiece.trie import Trie, read_trie


@dataclass(frozen=True, eq=False)
class WordPieceTables:
    """What the graph knows of a WordPiece tokenizer.

    :ivar normalization: bytes to codes.
    :ivar trie: whole words and pieces.
    :ivar unk_id: id of the unknown token.
    :ivar unk_is_piece: whether it is a piece of words that are known, too.
    :ivar longest_word: characters of the longest word that is not unknown for its length.
    """

    normalization: Normalization
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


PARTS = {"normalizer": ("BertNormalizer", None), "pre_tokenizer": ("BertPreTokenizer",)}
"""What can be in a graph beside the model: parts of tokenizer.json, and their types; None where there may be none."""

LONGEST_WORD = 1 << 30
"""No word is longer; what the tokenizer calls its limit may not fit into an int32."""


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> WordPieceTables:
    """Ask the tokenizer all that the graph must know.

    :param config: its tokenizer.json.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    check_parts(config, PARTS)
    model = config["model"]
    return read_words_and_pieces(
        tokenizer, config, model["continuing_subword_prefix"], int(model["max_input_chars_per_word"])
    )


def check_parts(config: Mapping[str, Any], parts: Mapping[str, Sequence[str | None]]) -> None:
    """:param config: tokenizer.json. :param parts: as ``PARTS``.
    :raises UnsupportedTokenizer: when a part is of another type, or the vocabulary lacks the unknown token.
    """
    for part, types in parts.items():
        got = (config[part] or {}).get("type")
        if got not in types:
            known = " or ".join(map(str, types))
            raise UnsupportedTokenizer(f"{part}: expected {known}, got {got}")
    model = config["model"]
    if model["unk_token"] not in model["vocab"]:
        raise UnsupportedTokenizer(f"model: the unknown token {model['unk_token']!r} is not in the vocabulary")


def read_words_and_pieces(
    tokenizer: Tokenizer, config: Mapping[str, Any], prefix: str | None, longest_word: int
) -> WordPieceTables:
    """As ``read_tables``, of parts that can be in a graph.

    :param prefix: of the pieces inside words; None where words have no pieces.
    :param longest_word: characters; longer ones are unknown.
    """
    model = config["model"]
    vocab: dict[str, int] = model["vocab"]
    tokens = kept_tokens(tokenizer, config["added_tokens"])
    check_strips(tokens)
    characters = read_characters(tokenizer)
    begins, insides = pieces_of(characters, vocab, prefix, longest_word)
    normalized = {t["content"]: normalized_content(characters, t["content"]) for t in tokens if t["normalized"]}
    check_different(normalized)
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
    return WordPieceTables(
        normalization=Normalization(
            alphabet=alphabet,
            codes=read_codes(characters, alphabet),
            added=added_table(raw, SYMBOLS),
            normalized=added_table(in_codes, alphabet.size),
            mark_classes=classes_of(alphabet) if sorts_marks else None,
        ),
        trie=read_trie(alphabet, coded(begins), coded(insides), words),
        unk_id=unk_id,
        unk_is_piece=unk_id in {*begins.values(), *insides.values()},
        longest_word=min(longest_word, LONGEST_WORD),
    )


def pieces_of(
    characters: Characters, vocab: Mapping[str, int], prefix: str | None, longest_word: int
) -> tuple[dict[str, int], dict[str, int]]:
    """The pieces that normalized text can have: ids of those at a word's begin, and of those inside a word."""

    def can_be_met(piece: str, kind: Kind) -> bool:
        return all(characters.kind(c) == kind and characters.can_be_met(c) for c in piece)

    def in_one_word(piece: str) -> bool:
        return 0 < len(piece) <= longest_word and (can_be_met(piece, Kind.WORD) or can_be_met(piece, Kind.SIGN))

    def alone(piece: str) -> bool:
        return len(piece) == 1 <= longest_word and can_be_met(piece, Kind.ISOLATED)

    begins = {token: i for token, i in vocab.items() if in_one_word(token) or alone(token)}
    if prefix is None:
        return begins, {}
    inside = {token.removeprefix(prefix): i for token, i in vocab.items() if token.startswith(prefix)}
    return begins, {piece: i for piece, i in inside.items() if in_one_word(piece)}


def _strips_accents(normalizer: Mapping[str, Any] | None) -> bool:
    """Whether it decomposes, and so sorts marks."""
    if normalizer is None or normalizer["type"] != "BertNormalizer":
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
