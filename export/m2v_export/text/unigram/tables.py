"""Everything that the graph knows of a Unigram tokenizer, read from the tokenizer itself."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.text.errors import UnsupportedTokenizer
from m2v_export.text.tables.added import (
    SingleWords,
    added_table,
    check_different,
    check_strips,
    kept_tokens,
    word_characters,
)
from m2v_export.text.tables.alphabet import Alphabet, read_alphabet
from m2v_export.text.tables.graphemes import read_clusters
from m2v_export.text.tables.marks import moving_marks
from m2v_export.text.tables.normalization import Normalization, loose_byte, loose_bytes, read_codes
from m2v_export.text.tables.probe import Characters, Kind, read_characters
from m2v_export.text.tables.utf8 import NEVER_BYTES, SYMBOLS, byte_token
from m2v_export.text.tables.words import Words, read_words
from m2v_export.text.unigram.normalizer import plan_normalizer
from m2v_export.text.unigram.pieces import NEAR, Pieces, read_pieces, whole_words

BLANK = "▁"
"""What stands for a space, before each word."""

WORD_CHARACTERS = 10
"""Whole words are found up to so many characters at least: more would make the tables larger."""


@dataclass(frozen=True)
class LiteralBlank:
    """:ivar code: of a blank that a text has itself. :ivar isolated: see ``Alphabet``.
    :ivar first_added: the first code of an added token; all others are less.
    :ivar spaces_count: whether a space before a blank is a blank, too.
    """

    code: int
    isolated: int
    first_added: int
    spaces_count: bool


@dataclass(frozen=True, eq=False)
class UnigramTables:
    """What the graph knows of a Unigram tokenizer.

    :ivar normalization: bytes to codes.
    :ivar words: words that are one piece, by what follows the blank. In the place of ids values of pieces, and of added
        tokens.
    :ivar pieces: all pieces.
    :ivar symbols: int32 [nodes of the alphabet], of each code's node in the pieces; 0 for what is in none.
    :ivar blank: the symbol of BLANK.
    :ivar literal: how a blank of the text itself counts; None where the normalizer leaves none.
    :ivar carries: whether sums go on from word to word, as where the pre-tokenizer does not split.
    """

    normalization: Normalization
    words: Words
    pieces: Pieces
    symbols: npt.NDArray[np.int32]
    blank: int
    literal: LiteralBlank | None
    carries: bool

    @property
    def alphabet(self) -> Alphabet:
        return self.normalization.alphabet


def read_tables(tokenizer: Tokenizer, config: Mapping[str, Any]) -> UnigramTables:
    """Ask the tokenizer all that the graph must know.

    :param config: its tokenizer.json.
    :raises UnsupportedTokenizer: when a part cannot be exported exactly; it names the part.
    """
    model = config["model"]
    vocabulary: list[tuple[str, float]] = model["vocab"]
    _check_model(model)
    plan = plan_normalizer(config["normalizer"])
    splits_spaces, carries = _read_pre_tokenizer(config["pre_tokenizer"])
    if not splits_spaces:
        _check_spaces(tokenizer)
    tokens = kept_tokens(tokenizer, config["added_tokens"], single_words=True)
    # Normalized ones are looked for where white space ends words already, and is in no token.
    check_strips([token for token in tokens if not token["normalized"]])
    clusters = read_clusters(plan.behind[0]) if plan.has_clusters else None
    if clusters is not None:
        plan.check_clusters(clusters)
        for token in tokens:
            # White space and an accent are one cluster: what is stripped tells whether the accent is dropped.
            if token["rstrip"] and not token["normalized"]:
                raise UnsupportedTokenizer(f"added token {token['content']!r}: rstrip before Precompiled")
    characters = read_characters(
        _with_spaces_alone(plan.normalizer(plan.behind), splits_spaces),
        clusters.several if clusters else (),
        _with_spaces_alone(tokenizer.normalizer, splits_spaces) if plan.before else None,
    )
    if not splits_spaces:
        _check_stripped(characters, strips=plan.strips or any(t["lstrip"] or t["rstrip"] for t in tokens))
    normalized = _normalized_tokens(tokenizer, tokens, characters, splits_spaces)
    single = {c for form in normalized.values() for c in form}
    has_blanks = characters.can_be_met(BLANK)
    if has_blanks and any(BLANK in form for form in characters.forms.values()):
        raise UnsupportedTokenizer(f"normalizer: it makes {BLANK} of others, which stands for a space")
    met = {piece for piece, _ in vocabulary if _can_be_met(piece, characters)}
    inner = sorted({p.removeprefix(BLANK) for p in met} | ({BLANK} if has_blanks else set()) | single)
    byte_ids = _read_bytes(model) if model.get("byte_fallback") else None
    counts = Counter(c for piece in sorted(met) for c in piece)
    counts.update(dict.fromkeys(sorted(single), 0))
    if byte_ids is not None:
        characters = _with_bytes(characters, {*counts}, clusters.flagged if clusters else ())
        counts.update(map(loose_byte, byte_ids))
        inner += map(loose_byte, byte_ids)
    single_words = [token["content"] for token in tokens if token["single_word"]]
    if single_words:
        if byte_ids is not None or plan.sorts_marks:
            why = "changes the place of marks" if plan.sorts_marks else "is followed by byte fallback"
            raise UnsupportedTokenizer(f"added token {single_words[0]!r}: single_word, where the normalizer {why}")
        in_words = word_characters()
        characters, other = _with_one_other(characters, {*counts}, in_words)
        inner += other
        counts.update(dict.fromkeys(other, 0))
    alphabet = read_alphabet(characters, inner, [t["content"] for t in tokens])
    if plan.sorts_marks:
        _check_marks(alphabet, becomes_bytes=byte_ids is not None)
    symbols = {c: i + 1 for i, (c, _) in enumerate(counts.most_common())}
    pieces = read_pieces(
        [(piece if piece in met else "", score) for piece, score in vocabulary],
        model["unk_id"],
        symbols,
        len(symbols) + 1,
        [token["id"] for token in tokens],
        byte_ids,
    )
    ids = {piece: i for i, (piece, _) in enumerate(vocabulary) if piece in met}
    _check_unknown(ids, pieces, vocabulary[model["unk_id"]][0])
    candidates = [piece for piece in ids if len(piece) > 1 and piece[0] == BLANK]
    whole = whole_words(pieces, [[symbols[c] for c in piece] for piece in candidates])
    words = {
        tuple(alphabet.codes[c] for c in piece[1:]): ids[piece] + 1
        for piece, is_whole in zip(candidates, whole, strict=True)
        if is_whole
    }
    words |= {(alphabet.added[t["content"]],): pieces.unknown + 1 + i for i, t in enumerate(tokens)}
    # Where a text has blanks of its own, no other bytes may stay in place: see ``blanks``.
    codes = read_codes(characters, alphabet, clusters, BLANK if has_blanks else "", byte_ids is not None)
    contents = [token["content"] for token in tokens if not token["normalized"]]
    rewriting = plan.rewriting(contents)
    raw = {tuple(content.encode()): alphabet.added[content] for content in contents}
    in_codes = {tuple(alphabet.codes[c] for c in form): alphabet.added[of] for of, form in normalized.items()}
    if rewriting is not None:
        codes = replace(codes, of_byte=np.append(codes.of_byte, [*raw.values()]).astype(np.int32))
    return UnigramTables(
        normalization=Normalization(
            alphabet=alphabet,
            codes=codes,
            added=added_table(raw, SYMBOLS) if rewriting is None else None,
            normalized=added_table(in_codes, alphabet.size),
            mark_classes=None,
            rewriting=rewriting,
            single_words=_single_words(alphabet, single_words, in_words) if single_words else None,
        ),
        words=read_words(alphabet, words, WORD_CHARACTERS),
        pieces=pieces,
        symbols=_symbols_of(alphabet, symbols),
        blank=symbols[BLANK],
        literal=LiteralBlank(alphabet.codes[BLANK], alphabet.isolated, alphabet.first_added, not splits_spaces)
        if has_blanks
        else None,
        carries=carries,
    )


def _check_model(model: Mapping[str, Any]) -> None:
    pieces = {piece for piece, _ in model["vocab"]}
    if model["unk_id"] is None:
        raise UnsupportedTokenizer("model: it has no unk_id, so that unknown characters are an error")
    if not any(BLANK in piece for piece in pieces):
        raise UnsupportedTokenizer(f"model: no piece has {BLANK}")
    inner = [piece for piece in pieces if BLANK in piece[1:]]
    if inner:
        raise UnsupportedTokenizer(f"model: the piece {inner[0]!r} has {BLANK} inside")


def _read_bytes(model: Mapping[str, Any]) -> dict[int, int]:
    """:return: the id of each byte's token."""
    ids = {piece: i for i, (piece, _) in enumerate(model["vocab"])}
    of_byte = {byte: ids.get(byte_token(byte)) for byte in sorted({*range(0x100)} - NEVER_BYTES)}
    missing = [byte for byte, token_id in of_byte.items() if token_id is None]
    if missing:
        raise UnsupportedTokenizer(f"model: byte_fallback without the token {byte_token(missing[0])}")
    return {byte: token_id for byte, token_id in of_byte.items() if token_id is not None}


def _with_bytes(characters: Characters, known: Set[str], flagged: Iterable[str]) -> Characters:
    """Characters that are in no piece become their bytes.

    Those of several bytes that become themselves are left to the graph, as there are so many.
    """
    apart = [c for c, kind in characters.kinds.items() if kind == Kind.ISOLATED and c not in known]
    if apart:
        raise UnsupportedTokenizer(f"normalizer: it puts spaces around U+{ord(apart[0]):04X}, which becomes bytes")

    def spelled(form: str) -> str:
        is_own = [c in known or characters.kind(c) != Kind.WORD for c in form]
        return "".join(c if own else loose_bytes(c) for c, own in zip(form, is_own, strict=True))

    asked = {*map(chr, range(0x80)), *flagged, *characters.forms}
    forms = {c: spelled(characters.form(c)) for c in asked}
    forms = {c: form for c, form in forms.items() if form != c}
    return replace(characters, forms=forms, clusters={c: spelled(form) for c, form in characters.clusters.items()})


def _with_one_other(characters: Characters, known: Set[str], in_words: Set[str]) -> tuple[Characters, list[str]]:
    """Let all letters, digits and marks that are in no piece become one of them, so that a code tells what is one.

    :return: the characters, and that one, if there is any.
    """
    others = {c for c in in_words - known if characters.kind(c) == Kind.WORD}
    if not others:
        return characters, []
    one = min(others)

    def renamed(form: str) -> str:
        return "".join(one if c in others else c for c in form)

    forms = dict.fromkeys(others, one) | {c: renamed(form) for c, form in characters.forms.items()}
    clusters = {c: renamed(form) for c, form in characters.clusters.items()}
    return replace(characters, forms={c: form for c, form in forms.items() if c != form}, clusters=clusters), [one]


def _single_words(alphabet: Alphabet, tokens: Sequence[str], in_words: Set[str]) -> SingleWords:
    # What is a word of its own has spaces around it in normalized text, or is no letter.
    codes = [code for c, code in alphabet.codes.items() if c in in_words and code < alphabet.isolated]
    table = np.zeros(alphabet.size, np.int32)
    table[codes] = 1
    return SingleWords(np.array([alphabet.added[token] for token in tokens], np.int32), table)


def _check_marks(alphabet: Alphabet, *, becomes_bytes: bool) -> None:
    """The graph does not sort marks. What is in no piece is unknown in every order."""
    moving = moving_marks(sorted(alphabet.codes))
    if moving or becomes_bytes:
        where = "become bytes" if becomes_bytes else f"are in pieces, such as U+{ord(moving[0]):04X}"
        raise UnsupportedTokenizer(f"normalizer: BertNormalizer changes the place of marks, which {where}")


def _check_unknown(ids: Mapping[str, int], pieces: Pieces, unknown: str) -> None:
    """`tokenizers` looks unknown tokens in a row up as one: they must not be a piece when they are put together.

    They are none where such a piece is always better than the tokens in a row.

    :param unknown: the piece that is the unknown token.
    """
    for piece, token_id in ids.items():
        rest = piece.replace(unknown, "")
        if len(piece) > 1 and piece != unknown and not any(c in ids for c in rest):
            known = pieces.scores[ids[unknown] + 1] * ((len(piece) - len(rest)) // len(unknown)) if rest != piece else 0
            if pieces.scores[token_id + 1] <= known + pieces.scores[pieces.unknown] * len(rest) + NEAR:
                raise UnsupportedTokenizer(f"model: unknown tokens in a row may be the piece {piece!r}")


def _read_pre_tokenizer(pre_tokenizer: Mapping[str, Any] | None) -> tuple[bool, bool]:
    """:return: whether words end at white space of every kind, and whether sums go on from word to word."""
    steps = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer])
    types = [(step or {}).get("type") for step in steps]
    if types not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        got = " and ".join(map(str, types))
        raise UnsupportedTokenizer(f"pre_tokenizer: expected Metaspace or WhitespaceSplit and Metaspace, got {got}")
    metaspace = steps[-1]
    if metaspace["replacement"] != BLANK or metaspace["prepend_scheme"] != "always":
        raise UnsupportedTokenizer("pre_tokenizer: Metaspace that does not put ▁ before each word")
    return len(steps) > 1, len(steps) == 1 and not metaspace["split"]


def _check_spaces(tokenizer: Tokenizer) -> None:
    """Metaspace alone makes a blank of each space, so that none may be left but one between two words."""
    if tokenizer.normalizer is None or tokenizer.normalizer.normalize_str("  a  b ") != "a b":
        raise UnsupportedTokenizer("normalizer: it leaves spaces that Metaspace would make blanks of")


WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""What Unicode calls so, and `tokenizers` takes away where something strips."""


def _check_stripped(characters: Characters, *, strips: bool) -> None:
    """What is taken away must be nothing but spaces, where words end at these alone."""
    for c in WHITE_SPACE if strips else "":
        if any(characters.kind(part) != Kind.SEPARATOR for part in characters.form(c)):
            raise UnsupportedTokenizer(f"normalizer: it strips U+{ord(c):04X}, at which no word ends")


def _normalized_tokens(
    tokenizer: Tokenizer, tokens: Sequence[Mapping[str, Any]], characters: Characters, splits_spaces: bool
) -> dict[str, str]:
    """:return: the normal forms of those added tokens that are looked for in the normalized text."""
    forms = {}
    for content in (token["content"] for token in tokens if token["normalized"]):
        if not splits_spaces:
            raise UnsupportedTokenizer(f"added token {content!r}: normalized, where a space before it is a piece")
        form = content if tokenizer.normalizer is None else str(tokenizer.normalizer.normalize_str(content))
        if not form or any(characters.kind(c) != Kind.WORD for c in form):
            raise UnsupportedTokenizer(f"added token {content!r}: normalized, and it holds white space or nothing")
        forms[content] = form
    check_different(forms)
    return forms


def _with_spaces_alone(normalizer: normalizers.Normalizer | None, all_kinds: bool) -> Tokenizer:
    """A tokenizer that normalizes like that, and splits at spaces alone: what is to be asked about characters."""
    asked = Tokenizer(models.WordLevel({BLANK: 0}, BLANK))
    if normalizer is not None:
        asked.normalizer = normalizer
    spaces = pre_tokenizers.WhitespaceSplit() if all_kinds else pre_tokenizers.Split(" ", "removed")
    asked.pre_tokenizer = pre_tokenizers.Sequence([spaces, pre_tokenizers.Split(BLANK, "isolated")])
    return asked


def _can_be_met(piece: str, characters: Characters) -> bool:
    """Whether normalized text can have a piece. What is a word of its own has nothing but a blank beside it."""
    rest = piece.removeprefix(BLANK)
    kinds = [characters.kind(c) for c in rest]
    if not piece or Kind.SEPARATOR in kinds or not all(map(characters.can_be_met, rest)):
        return False
    return Kind.ISOLATED not in kinds or len(rest) == 1


def _symbols_of(alphabet: Alphabet, symbols: Mapping[str, int]) -> npt.NDArray[np.int32]:
    table = np.zeros(alphabet.nodes + 1, np.int32)
    for character, code in alphabet.codes.items():
        # At a word's begin, too.
        table[[code, code + alphabet.isolated]] = symbols[character]
    return table
