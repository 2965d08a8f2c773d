"""Texts that are hard to tokenize: what a text graph is checked with, at export and in the tests."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from tokenizers import Tokenizer

from m2v_export.text.tables.probe import CODE_POINTS, SURROGATES

CODE_POINTS_A_TEXT = 64
"""Few enough that no text is cut or truncated at the usual 512 tokens."""

SCRIPTS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿßœšžıİŁłŐŰ",
    "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊΐ",
    "абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯіїєґ",
    "אבגדהוזחטיכךלמםנןסעפףצץקרשתְֱֲֳִֵֶַָֹּׁׂ",
    "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيًٌٍَُِّْ،؟",
    "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौ्ंँः।",
    "กขคงจฉชซญดตถทธนบปผฝพฟภมยรลวศษสหอฮะาิีึืุูเแโใไ่้๊๋์",
    "ぁあいうえおかがきぎくぐけげこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクー",
    "的一是不了人我在有他这为之大来以个中上们漢字仮名交じり㐀㒨\U00020000\U0002f800",
    "가각간갇갈한국어글서울말뷁힣ᄀ까ᅢᆨᆩ",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1ea\ufe0f\U0001f3fd❤☃⚡",
    "\u0300\u0301\u0302\u0307\u0308\u0327\u0328\u0334\u0345\u302e\u302f\u3099\U0001d165\U0001d16d",
    "\x00\x01\x08\t\n\x0b\x0c\r\x1b\x7f\x80\x85\xa0\xad\u200b\u200c\u200d\u200e\u2028\u2029\u2060\ufeff\ufffd\ufff9",
    "    \t\n\u1680\u2000\u2003\u202f\u205f\u3000",
    "ﬁﬂﬀ①②½¾ⅧⅷΩKÅǅǆẞſ№™ﷺ豈\U0001d400\U0001d7d8",
)
"""Characters that go together, and those that give trouble: accents, cases, marks, controls, spaces, compositions."""


def code_point_texts() -> Iterator[str]:
    """Every code point but surrogates in three contexts: alone, inside a word and before an accent."""
    for begin in range(0, CODE_POINTS, CODE_POINTS_A_TEXT):
        if begin not in SURROGATES:
            characters = [*map(chr, range(begin, begin + CODE_POINTS_A_TEXT))]
            yield " ".join(characters)
            yield f"a{'b a'.join(characters)}b"
            yield "\u0301x ".join([*characters, ""])


def fuzzed_texts(tokenizer: Tokenizer, count: int, seed: int = 0) -> list[str]:
    """Mixed scripts, marks, controls, added tokens in odd places, casing, long words, the vocabulary's own pieces."""
    rng = random.Random(seed)
    pieces = sorted(tokenizer.get_vocab())
    added = [token.content for _, token in sorted(tokenizer.get_added_tokens_decoder().items())] or ["[UNK]"]
    return [fuzzed_text(rng, pieces, added) for _ in range(count)]


def fuzzed_text(rng: random.Random, pieces: Sequence[str], added: Sequence[str]) -> str:
    return "".join(islice(_parts(rng, pieces, added), rng.choice(PARTS_A_TEXT)))


PARTS_A_TEXT = (0, 1, 1, 2, 3, 5, 8, 13, 30)
"""Lengths of texts, in parts of some characters each."""


def _parts(rng: random.Random, pieces: Sequence[str], added: Sequence[str]) -> Iterator[str]:
    while True:
        script = rng.choice(SCRIPTS)
        kind = rng.randrange(20)
        if kind < 6:
            yield "".join(rng.choices(script, k=rng.randint(1, 8))) + rng.choice(("", " "))
        elif kind < 12:
            yield _cased(rng, rng.choice(pieces).removeprefix("##")) + rng.choice(("", "", " "))
        elif kind == 12:
            yield rng.choice(added)
        elif kind == 13:
            token = rng.choice(added)
            yield rng.choice((token[:-1], token[1:], token.swapcase(), token[: len(token) // 2] + token))
        elif kind == 14:
            yield rng.choice((*script, rng.choice(pieces))) * rng.choice((1, 2, 50, 99, 100, 101, 102))
        elif kind == 15:
            yield chr(rng.choice(_ANY))
        elif kind == 16:
            yield "".join(c + "".join(rng.choices(SCRIPTS[15], k=rng.randint(0, 3))) for c in rng.choices(script, k=4))
        else:
            yield rng.choice((" ", " ", "  ", "\n", ". ", ", ", "-", "'s ", "\u00a0"))


_ANY = [*range(SURROGATES.start), *range(SURROGATES.stop, CODE_POINTS)]


def _cased(rng: random.Random, text: str) -> str:
    return rng.choice((text, text, text.upper(), text.capitalize(), text.swapcase()))


def invalid_texts(count: int, seed: int = 0) -> list[bytes]:
    """Bytes that are mostly no UTF-8: loose, missing and wrong bytes, overlong forms, surrogates, added tokens."""
    rng = random.Random(seed)
    return [b"".join(rng.choice(_BYTES)(rng) for _ in range(rng.randint(0, 12))) for _ in range(count)]


_BYTES = (
    lambda rng: bytes([rng.randrange(256)]),
    lambda rng: bytes([rng.randrange(0x80, 0xC0)]) * rng.randint(1, 4),
    lambda rng: chr(rng.choice(_ANY)).encode(),
    lambda rng: chr(rng.choice(_ANY)).encode()[: rng.randint(1, 3)],
    lambda rng: chr(rng.choice(_ANY)).encode()[1:],
    lambda rng: bytes([rng.choice((0xC0, 0xC1, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF)), rng.randrange(256)]),
    lambda rng: rng.choice((b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80")),
    lambda rng: rng.choice((b"[MASK]", b"[UNK", b"\xe2[PAD]\x80", b"word", b" ", b"a", "é".encode(), "漢".encode())),
)
