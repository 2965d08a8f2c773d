"""Everything that the graph knows of a BPE tokenizer, and how it is read from a byte-level one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from m2v_export.text.bpe.expressions import (
    BOUNDARY,
    DEEPSEEK,
    EXPRESSIONS,
    GPT2,
    LIKE_DEEPSEEK,
    Expression,
    contractions,
    kinds_of,
)
from m2v_export.text.bpe.merges import Merges, last_merges, read_merges
from m2v_export.text.bpe.pairs import Pairs
from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import AddedTable, added_table, kept_tokens
from m2v_export.text.tables.composition import Composition, read_composition
from m2v_export.text.tables.pages import Pages, paged
from m2v_export.text.tables.rewriting import Forms, compatible_forms
from m2v_export.text.tables.utf8 import FIRST_CONTINUATION, NEVER_BYTES, SYMBOLS
from m2v_export.text.tables.words import WordKeys, Words, store_words

WORD_BYTES = 15
"""Whole words are found up to so many bytes: longer ones are few, and are merged."""

WIDTH, PACKED = 9, 3
"""Bits of a byte in the key of a word, with room for none, and how many an int32 holds."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Contractions:
    """What may follow an apostrophe, by its first two bytes.

    :ivar first: int32 [symbols]. :ivar second: int32 [symbols].
    :ivar sizes: int32 [firsts * seconds], the characters of what the two say together; 0 for none.
    """

    first: Ints
    second: Ints
    sizes: Ints

    @property
    def columns(self) -> int:
        return int(self.second.max()) + 1


@dataclass(frozen=True, eq=False)
class Matches:
    """Words are what an expression matches. :ivar contractions: see there."""

    expression: Expression
    contractions: Contractions


@dataclass(frozen=True)
class Prefix:
    """A blank that is put before each text.

    :ivar before_blanks: also before what begins with a blank. :ivar behind_added: also behind each added token.
    """

    before_blanks: bool
    behind_added: bool


@dataclass(frozen=True, eq=False)
class BpeTables:
    """:ivar cuts: how text is cut into words.
    :ivar kinds: int32 [symbols], the kind of each byte that is a character, of added tokens and of the end; where cuts
        are ``Pairs``, the class.
    :ivar kinds_of_code_point: the kind of each code point.
    :ivar added: the added tokens, which become symbols from SYMBOLS on. Those of a table are looked for in what those
        before have left.
    :ivar strips: int32 [2, symbols], 1 for added tokens that take away the white space before them, and that behind.
    :ivar words: words that are one token, by their symbols, each and one more.
    :ivar of_byte: int32 [257], the token of each byte; at the end what stands between words.
    :ivar of_character: the token of each code point of several bytes, less than 0 where it is those of its bytes; None
        where all are.
    :ivar merges: how tokens are put together.
    :ivar prefix: a blank that is put before; None for none.
    :ivar composition: how characters are composed, where they are.
    :ivar forms: what characters become before that; None where all stay.
    """

    cuts: Matches | Pairs
    kinds: Ints
    kinds_of_code_point: Pages
    added: tuple[AddedTable, ...]
    strips: Ints
    words: Words
    of_byte: Ints
    of_character: Pages | None
    merges: Merges
    prefix: Prefix | None
    composition: Composition | None
    forms: Forms | None = None


def byte_characters() -> list[str]:
    """The character that stands for each byte in a vocabulary: itself where it is printable Latin-1, else one of the
    next after Latin-1 (``bytes_to_unicode`` of OpenAI's GPT-2)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(0x100)]


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> BpeTables:
    """Ask the tokenizer all that the graph must know.

    :param config: its tokenizer.json.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    model = config["model"]
    check_model(model)
    composition, forms = _read_normalizer(config["normalizer"])
    expression, prefix = _read_pre_tokenizer(config["pre_tokenizer"])
    tokens = kept_tokens(tokenizer, config["added_tokens"])
    _check_added(tokens, composition, forms)
    characters = byte_characters()
    byte_of = {c: byte for byte, c in enumerate(characters)}
    vocabulary: dict[str, int] = model["vocab"]
    missing = [byte for byte, c in enumerate(characters) if c not in vocabulary and byte not in NEVER_BYTES]
    if missing:
        raise UnsupportedTokenizer(f"model: no token for the byte 0x{missing[0]:02X}")
    last = last_merges(vocabulary, [(left, right) for left, right in model["merges"]])
    whole = [c for c in characters if c in vocabulary] + [*last]
    packs = -(-WORD_BYTES // PACKED)
    if model.get("ignore_merges"):
        never_made = sorted({*vocabulary} - {*whole})
        # All that is found whole only as a word must be.
        packs = max([packs, *(-(-len(token) // PACKED) for token in never_made if byte_of.keys() >= {*token})])
        whole += never_made
    words = {
        tuple(byte_of[c] + 1 for c in token): vocabulary[token]
        for token in whole
        if byte_of.keys() >= {*token} and _is_utf8(byte_of[c] for c in token)
    }
    words |= {(SYMBOLS + i + 1,): token["id"] for i, token in enumerate(tokens)}
    symbols = SYMBOLS + len(tokens)
    kinds = kinds_of(expression)
    of_symbol = np.full(symbols, BOUNDARY, np.int32)
    of_symbol[:FIRST_CONTINUATION] = kinds[:FIRST_CONTINUATION]
    merges = read_merges(vocabulary, last, byte_of)
    strips = np.zeros((2, symbols), np.int32)
    strips[:, SYMBOLS:] = [[token[strip] for token in tokens] for strip in ("lstrip", "rstrip")]
    return BpeTables(
        cuts=Matches(expression, _read_contractions(contractions(expression), symbols)),
        kinds=of_symbol,
        kinds_of_code_point=paged(kinds),
        added=read_added(tokens, symbols),
        strips=strips,
        words=store_words(WordKeys(WIDTH, PACKED, packs), words),
        of_byte=np.array([*(vocabulary.get(c, 0) for c in characters), merges.no_token], np.int32),
        of_character=None,
        merges=merges,
        prefix=Prefix(before_blanks=False, behind_added=True) if prefix else None,
        composition=composition,
        forms=forms,
    )


def _is_utf8(token: Iterable[int]) -> bool:
    """Words are of whole characters."""
    try:
        bytes(token).decode()
    except UnicodeDecodeError:
        return False
    return True


def check_model(model: Mapping[str, Any]) -> None:
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise UnsupportedTokenizer(f"model: {option}")


def _read_normalizer(normalizer: Mapping[str, Any] | None) -> tuple[Composition | None, Forms | None]:
    if normalizer is None:
        return None, None
    steps: Sequence[Mapping[str, Any]] = normalizer.get("normalizers", [normalizer])
    for step in steps:
        if step["type"] not in ("NFC", "NFKC"):
            raise UnsupportedTokenizer(f"normalizer: {step['type']}")
    forms = compatible_forms() if any(step["type"] == "NFKC" for step in steps) else None
    # Composed once more nothing changes.
    return (read_composition() if steps else None), forms


def _read_pre_tokenizer(pre_tokenizer: Mapping[str, Any] | None) -> tuple[Expression, bool]:
    """:return: how text is cut into words, and whether a blank is put before."""
    steps: Sequence[Mapping[str, Any]] = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer or {}])
    types = [step.get("type") for step in steps]
    if types == ["ByteLevel"] and steps[0].get("use_regex", True):
        return EXPRESSIONS[GPT2], steps[0]["add_prefix_space"]
    if types == ["Split", "Split", "Split", "ByteLevel"] and _is_deepseek(steps):
        return LIKE_DEEPSEEK, False
    if types != ["Split", "ByteLevel"] or steps[1].get("use_regex", True) or steps[1]["add_prefix_space"]:
        got = " and ".join(map(str, types))
        raise UnsupportedTokenizer(f"pre_tokenizer: expected ByteLevel or Split and ByteLevel, got {got}")
    split = steps[0]
    pattern = split["pattern"].get("Regex")
    # The matches lie end to end: nothing between them is removed.
    keeps_all = (split["behavior"], split["invert"]) in (*ISOLATED, ("Removed", True))
    if pattern not in EXPRESSIONS or not keeps_all:
        raise UnsupportedTokenizer(f"pre_tokenizer: Split by {next(iter(split['pattern'].values()))!r}")
    return EXPRESSIONS[pattern], False


ISOLATED = ("Isolated", False), ("Isolated", True)
"""Ways of Split that keep all, the matches and what is between them."""


def _is_deepseek(steps: Sequence[Mapping[str, Any]]) -> bool:
    *splits, byte_level = steps
    return (
        tuple(split["pattern"].get("Regex") for split in splits) == DEEPSEEK
        and all((split["behavior"], split["invert"]) in ISOLATED for split in splits)
        and not byte_level.get("use_regex", True)
        and not byte_level["add_prefix_space"]
    )


def _check_added(tokens: Sequence[Mapping[str, Any]], composition: Composition | None, forms: Forms | None) -> None:
    """`tokenizers` looks for those that are not normalized first, and for the others in the composed text that is left.
    The graph composes last: whether the others are found must not depend on it.
    """
    for token in tokens:
        name = f"added token {token['content']!r}"
        for strip in ("lstrip", "rstrip"):
            if token[strip] and token["normalized"]:
                raise UnsupportedTokenizer(f"{name}: {strip} of a normalized token")
        if token["rstrip"] and any(t["content"][0].isspace() for t in tokens if not t["normalized"]):
            raise UnsupportedTokenizer(f"{name}: rstrip beside a token that begins with white space")
        if token["normalized"] and composition is not None and not composition.keeps(token["content"]):
            raise UnsupportedTokenizer(f"{name}: normalized, and NFC may change what is found")
        if token["normalized"] and forms is not None:
            raise UnsupportedTokenizer(f"{name}: normalized, and NFKC may make it of others")


def read_added(tokens: Sequence[Mapping[str, Any]], symbols: int) -> tuple[AddedTable, ...]:
    """:return: the tokens that are not normalized, and those that are: of each a table, where there are some."""
    tables = []
    for normalized in (False, True):
        its = {tuple(t["content"].encode()): SYMBOLS + i for i, t in enumerate(tokens) if t["normalized"] == normalized}
        tables.append(added_table(its, symbols))
    return tuple(table for table in tables if table is not None)


def _read_contractions(found: Iterable[str], symbols: int) -> Contractions:
    sizes = {(*way.encode(), 0)[:2]: len(way) for way in found}
    firsts, seconds = (sorted({way[i] for way in sizes} - {0}) for i in range(2))
    first, second = np.zeros((2, symbols), np.int32)
    first[firsts], second[seconds] = np.arange(1, len(firsts) + 1), np.arange(1, len(seconds) + 1)
    table = np.zeros((len(firsts) + 1, len(seconds) + 1), np.int32)
    for (one, other), size in sizes.items():
        if other == 0:
            # Whatever follows.
            table[first[one]] = size
        else:
            table[first[one], second[other]] = size
    return Contractions(first, second, table.reshape(-1))
