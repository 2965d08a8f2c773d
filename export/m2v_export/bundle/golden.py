"""golden.json: texts with the token ids and vectors that every implementation must give."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from m2v_export.source.embedding import reference_vectors
from m2v_export.source.model import Source
from m2v_onnx.errors import InvalidTextError
from m2v_onnx.models.format import EMBEDDING
from m2v_onnx.vectors import probes
from m2v_onnx.vectors.by_splintr import KINDS
from m2v_onnx.vectors.by_tokenizers import TokenizersTokens
from m2v_onnx.vectors.ragged import drop, split

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Vectors for search, in a table of numbers.",
    "",
    " \t\r\n ",
    "a",
    ".",
    "UPPER lower MiXeD 1234567890 3.14 -1e10",
    "state-of-the-art, don't, it's; e-mail@example.org https://example.org/a?b=c&d=%20#e",
    "nul \x00 bell \x07 delete \x7f end\x00",
    "café cafe\u0301 naïve Ångström \u212b ﬁne ½ Ⅳ",
    "straße STRASSE İstanbul ı ǅ Σίσυφος",
    "zero\u200bwidth\u200djoiner soft\u00adhyphen bom\ufeff nbsp\u00a0thin\u2009ideographic\u3000space\u2028line",
    "你好\uff0c世界\u3002 日本語のテキスト 한국어 𠀀𪛟",
    "Привет, мир! Їжак йог",
    "مرحبا بالعالم ש\u05b8\u05c1לו\u05b9ם",
    "नमस\u094dत\u0947 สว\u0e31สด\u0e35 გამარჯობა",
    "😀 👨\u200d👩\u200d👧\u200d👦 🇫🇷 ❤\ufe0f 👍🏽",
    "\u0301\u0302 marks first, Z\u0351\u036b\u0343a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308l\u0327go",
    "� \ufffe \uffff \U0010ffff \ue000 \u0378",
    "[CLS] [SEP] [UNK] [PAD] [MASK] [cls] <s> </s> <unk> <|endoftext|> ##ing",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "x" * 101,
    "é" * 300,
    "word " * 1000,
    "漢" * 5000,
    "supercalifragilisticexpialidocious " * 150,
)
"""Plain ones, and those where tokenizers differ: nothing, white space, controls, marks, case, scripts, emoji, special
tokens, long words, and texts of 5,000 characters that are cut and truncated."""

TOLERANCE = 1e-6
"""How near another implementation must come to a golden vector; for vectors with values above 1, times the largest."""


def golden(source: Source) -> dict[str, Any]:
    """The golden texts with ids (the unknown token left out), and vectors by the plain arithmetic.

    Where a tokenizer has no unknown token, the texts that it refuses are left out.
    """
    tokens = source.tokens()
    texts = [text for text in TEXTS if _is_known(tokens, text)]
    flat, offsets = tokens.ids(texts, source.max_length)
    ids = split(*drop(flat, offsets, tokens.unk_token_id))  # as StaticModel.encode pools them
    vectors = reference_vectors(source.embedding, ids)
    head = source.head
    more = [{} for _ in ids] if head is None else [{head.output: _numbers(row)} for row in head.reference(vectors)]
    return {
        "tolerance": TOLERANCE * max(1.0, float(np.abs(vectors).max())),
        "texts": [
            {"text": text, "input_ids": text_ids, "sentence_embedding": _numbers(vector), **of_head}
            for text, text_ids, vector, of_head in zip(texts, ids, vectors, more, strict=True)
        ],
    }


def probes_of(tokens: TokenizersTokens) -> bytes | None:
    """The content of probes.json: checksums of the token ids of made texts.

    :return: None for a tokenizer of a kind that splintr does not have, or that refuses one of the texts.
    """
    if type(tokens.tokenizer.model).__name__ not in KINDS:
        return None
    try:
        return probes.dump(probes.checksums(*tokens.ids(probes.texts(), None)))
    except InvalidTextError:
        return None


def _is_known(tokens: TokenizersTokens, text: str) -> bool:
    try:
        tokens.ids([text], None)
    except InvalidTextError:
        return False
    return True


def _numbers(values: npt.NDArray[np.float32]) -> list[float]:
    """With no more digits than float32 needs."""
    return [float(str(x)) for x in values]


def dump(value: dict[str, Any]) -> bytes:
    """A text a line, in ASCII: no editor or tool can change it by mistake."""
    *head, (last, texts) = value.items()
    lines = ",\n".join(json.dumps(text) for text in texts)
    fields = "".join(f"{json.dumps(key)}: {json.dumps(item)}, " for key, item in head)
    return f"{{{fields}{json.dumps(last)}: [\n{lines}\n]}}\n".encode()


def vectors_of(texts: Sequence[dict[str, Any]], output: str = EMBEDDING) -> npt.NDArray[np.float32]:
    """:return: float32 [N, dim]."""
    return np.array([text[output] for text in texts], np.float32)
