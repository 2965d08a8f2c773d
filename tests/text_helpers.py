"""What the tests of the text graph share: graphs, packing, and what `tokenizers` says."""

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.samples import code_point_texts
from m2v_export.text.wordpiece import WordPieceTables, build_ids, read_tables
from m2v_onnx.ort import onnxruntime as ort
from m2v_onnx.vectors.by_tokenizers import find_unk_token_id
from tests.conftest import POTION

Arrays = dict[str, np.ndarray[Any, Any]]


@cache
def potion_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(POTION / "tokenizer.json"))


@cache
def potion_tables() -> WordPieceTables:
    return tables_of(potion_tokenizer())


def tables_of(tokenizer: Tokenizer) -> WordPieceTables:
    return read_tables(tokenizer, json.loads(tokenizer.to_str()))


def potion_vocab() -> dict[str, int]:
    return dict(json.loads(potion_tokenizer().to_str())["model"]["vocab"])


def word_piece(
    vocab: dict[str, int],
    normalizer: normalizers.Normalizer | None,
    *,
    added: Sequence[AddedToken] = (),
    unk_token: str = "[UNK]",
    **options: Any,
) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=unk_token, **options))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    return tokenizer


def text_model(
    tables: WordPieceTables, unk_token_id: int | None, max_length: int | None = 512, median_token_length: int = 6
) -> onnx.ModelProto:
    g = Graph()
    utf8, offsets = g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"])
    ids, starts = build_ids(g, utf8, offsets, tables, Limits.of(max_length, median_token_length, unk_token_id))
    g.output(ids, "input_ids", ["I"])
    g.output(starts, "token_offsets", ["N"])
    return g.model({})


def session_of(model: onnx.ModelProto, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # As every program of ours has it; onnxruntime 1.18 goes wrong with it in Unigram's loops.
    options.enable_mem_pattern = False
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_on_texts(build: Callable[[Graph, Value, Value], Sequence[Value]], texts: Sequence[str | bytes]) -> list[Any]:
    """Build some stages on ``utf8`` and ``offsets`` and run them."""
    g = Graph()
    values = build(g, g.input("utf8", np.uint8, ["T"]), g.input("offsets", np.int64, ["N"]))
    for i, value in enumerate(values):
        g.output(value, f"y{i}")
    return list(session_of(g.model({})).run(None, pack(texts)))


def run_on_arrays(build: Callable[..., Sequence[Value]], *arrays: Any) -> list[Any]:
    """Build an operation on vectors and run it."""
    g = Graph()
    values = [np.asarray(array) for array in arrays]
    inputs = [g.input(f"x{i}", value.dtype, [f"X{i}"]) for i, value in enumerate(values)]
    for i, value in enumerate(build(g, *inputs)):
        g.output(value, f"y{i}")
    return list(session_of(g.model({})).run(None, {f"x{i}": value for i, value in enumerate(values)}))


def pack(texts: Sequence[str | bytes]) -> Arrays:
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    lengths = np.array([len(text) for text in encoded], np.int64)
    return {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": np.cumsum(lengths) - lengths}


def code_points_once() -> list[str]:
    """A third of ``code_point_texts``: every code point in one of its three contexts."""
    return [text for i, text in enumerate(code_point_texts()) if (i + i // 3) % 3 == 0]


def split_at(flat: Any, starts: Any) -> list[list[Any]]:
    ends = [*starts.tolist()[1:], len(flat)]
    return [flat[begin:end].tolist() for begin, end in zip(starts.tolist(), ends, strict=False)]


def graph_ids(session: ort.InferenceSession, texts: Sequence[str | bytes], batch: int = 256) -> list[list[int]]:
    found = []
    for i in range(0, len(texts), batch):
        found += split_at(*session.run(None, pack(texts[i : i + batch])))
    return found


def reference_ids(
    tokenizer: Tokenizer,
    texts: Sequence[str | bytes],
    unk_token_id: int | None,
    max_length: int | None = 512,
    median_token_length: int = 6,
) -> list[list[int]]:
    """The arithmetic of ``StaticModel.tokenize``."""
    decoded = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts]
    if max_length is not None:
        decoded = [text[: max_length * median_token_length] for text in decoded]
    encodings = tokenizer.encode_batch_fast(decoded, add_special_tokens=False)
    return [[i for i in encoding.ids[:max_length] if i != unk_token_id] for encoding in encodings]


IN_SMALL_BATCHES = 2000
"""Texts at most that are tokenized in small batches, too."""


def assert_ids(
    session: ort.InferenceSession, texts: Sequence[str | bytes], expected: Sequence[list[int]], small_batch: int = 5
) -> None:
    """In large batches, and some of the texts in small ones, of which plain texts take another way."""
    every = range(len(texts))
    some = sorted(random.Random(0).sample(every, min(len(texts), IN_SMALL_BATCHES)))
    for batch, of in ((256, every), (small_batch, some)):
        found = graph_ids(session, [texts[i] for i in of], batch)
        wrong = [(texts[i], got, expected[i]) for i, got in zip(of, found, strict=True) if got != expected[i]]
        assert not wrong, f"{len(wrong)} of {len(of)} texts differ in batches of {batch}, the first: {wrong[0]!r}"


_sessions: dict[str, ort.InferenceSession] = {}


def assert_exact(
    tokenizer: Tokenizer, texts: Sequence[str | bytes], session: ort.InferenceSession | None = None, **limits: Any
) -> None:
    """:param session: of the text graph; by default one for each tokenizer and its limits."""
    unk_token_id = find_unk_token_id(tokenizer)
    if session is None:
        key = json.dumps([tokenizer.to_str(), tokenizer.encode_special_tokens, limits], sort_keys=True)
        if key not in _sessions:
            _sessions[key] = session_of(text_model(tables_of(tokenizer), unk_token_id, **limits))
        session = _sessions[key]
    assert_ids(session, texts, reference_ids(tokenizer, texts, unk_token_id, **limits))
