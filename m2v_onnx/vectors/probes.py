"""Some thousands of made texts, and checksums of their token ids: what a fast tokenizer is held to when a model opens.

A bundle holds the checksums alone. The texts are made anew, the same ones in every process and version of Python.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random

from m2v_onnx.errors import InvalidModelError
from m2v_onnx.vectors.ragged import Ids, split

VERSION = 1
"""Of the texts: raised when they change, so that checksums of others are not compared."""

GROUP = 64
"""Texts a checksum."""

DIGEST_BYTES = 8

_FUZZED, _SENTENCES = 2048, 1024

_FIXED = (
    "",
    " ",
    "\t\n",
    "▁",
    "▁▁",
    " ▁ ",
    "  a  b  ",
    "a▁b",
    "\n",
    "\r\n\r\n",
    "\u3000",
    "\u00a0",
    "x" * 101,
    "é" * 300,
)

_PARTS = (
    *" \t\n\r▁_.,;:!?'\"-()[]<>#@&%/=+*~^$019aAbBzZ",
    *("  ", "   ", "...", "'s", "'ll", "n't", "123", "12345", "3.14", "the", "The", "ing", "er", "http://", "word "),
    *("é", "e\u0301", "ß", "İ", "ﬁ", "Å", "\u00ad", "\u200b", "\u200d", "\ufe0f", "\u00a0", "\u3000", "\x00", "\x7f"),
    *(
        "漢",
        "字",
        "かな",
        "カ",
        "한국",
        "\u1112\u1161",
        "ไทย",
        "हिन\u094dद\u0940",
        "мир",
        "Їж",
        "שלום",
        "مرحبا",
        "გ",
        "😀",
        "👍🏽",
    ),
    *("<unk>", "[UNK]", "<pad>", "[PAD]", "<s>", "</s>", "<mask>", "[MASK]", "<|endoftext|>", "<0x41>", "Ġ", "##a"),
)
"""What tokenizers treat each in its own way: white space, marks, contractions, numbers, scripts, special tokens."""

_SYLLABLES = (
    "ta",
    "re",
    "con",
    "in",
    "ing",
    "tion",
    "ver",
    "st",
    "ou",
    "le",
    "ph",
    "y",
    "qu",
    "ness",
    "gra",
    "mo",
    "o",
)


@cache
def texts() -> tuple[str, ...]:
    """The texts; some 7,100."""
    random = Random(VERSION)

    def below(bound: int) -> int:  # Random.random alone gives the same numbers in every version of Python
        return int(random.random() * bound)

    return (*_FIXED, *_code_points(), *_fuzzed(below), *_sentences(below))


_DENSE = 0x3400
"""Below are most scripts: each code point stands between letters, and alone."""

_SPARSE = ((0x3400, 0xA000, 61), (0xAC00, 0xD7A4, 61), (0xE000, 0xF900, 61), (0x20000, 0x2F800, 509))
"""First, end and step: Han, Hangul and private ones are alike. All others up to U+2FA1F are there, as libraries have
Unicode's tables in different versions, which differ in single code points."""


def _code_points() -> Iterator[str]:
    sparse = {point for first, end, step in _SPARSE for point in range(first, end) if (point - first) % step}
    for at in range(0, _DENSE, 8):
        yield " ".join(f"a{character}b {character}" for character in map(chr, range(at, at + 8)))
    rest = [point for point in range(_DENSE, 0x2FA20) if not (0xD800 <= point < 0xE000 or point in sparse)]
    for at in range(0, len(rest), 32):
        yield "".join(f"a{chr(point)}" for point in [*rest[at : at + 32], 0xE0001 + at % 239])


def _fuzzed(below: Callable[[int], int]) -> Iterator[str]:
    for _ in range(_FUZZED):
        yield "".join(_PARTS[below(len(_PARTS))] for _ in range(1 + below(12)))


def _sentences(below: Callable[[int], int]) -> Iterator[str]:
    """Words that nobody wrote, so that they are cut into pieces in many ways."""
    for _ in range(_SENTENCES):
        words = ("".join(_SYLLABLES[below(len(_SYLLABLES))] for _ in range(1 + below(4))) for _ in range(1 + below(16)))
        yield " ".join(words).capitalize() + ".!?…"[below(4)]


def checksums(ids: Ids, offsets: Ids) -> list[str]:
    """Hash the texts' token ids, the unknown token among them.

    :param ids: int64 [T].
    :param offsets: int64 [N], where each text starts.
    :return: hexadecimal, one for each 64 texts.
    """
    lists = split(ids, offsets)
    groups = (lists[at : at + GROUP] for at in range(0, len(lists), GROUP))
    return [hashlib.blake2b(json.dumps(group).encode(), digest_size=DIGEST_BYTES).hexdigest() for group in groups]


def dump(sums: Sequence[str]) -> bytes:
    """The content of a bundle's file of probes."""
    return json.dumps({"version": VERSION, "checksums": "".join(sums)}).encode() + b"\n"


def read(content: bytes) -> list[str]:
    """:raises InvalidModelError: for a damaged file, or probes of another version."""
    try:
        value = json.loads(content)
        version, joined = value["version"], str(value["checksums"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModelError(f"expected probes with a version and checksums, got: {error}") from error
    if version != VERSION:
        raise InvalidModelError(f"expected probes of version {VERSION}, got {version!r}")
    return [joined[at : at + 2 * DIGEST_BYTES] for at in range(0, len(joined), 2 * DIGEST_BYTES)]


def first_difference(expected: Sequence[str], found: Sequence[str]) -> str | None:
    """A text of the first group whose ids differ; None where all are the same."""
    if len(expected) != len(found):
        return texts()[0]
    wrong = next((i for i, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1]), None)
    return None if wrong is None else texts()[wrong * GROUP]
