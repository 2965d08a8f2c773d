"""A trial, nothing that is shipped: Unigram and byte-level BPE as graphs, their ids and time against `tokenizers`.

    python -m benchmarks.text_graph.others [--texts 4000]

The graphs take code points, each word or text followed by ``END``, and give token ids. Unigram's begins behind the
normalizer and the pre-tokenizer, which leaves whole sentences in one of the models; BPE's has its pre-tokenizer inside.
What came out is in docs/text-graph.md. Two of the three models are trained here, on texts of ../shared.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tabulate import tabulate
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from benchmarks.shared import SHARED, lines, need_shared
from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import END as LAST
from m2v_export.text.arrays import counted, groups, keep, look_up, numbered, ones, positions, reachable, zeros
from m2v_export.text.hashing import HashTable, build
from m2v_export.text.samples import fuzzed_texts

END = 0xD800
"""Follows each word: a lone surrogate, which no text has."""

CODE_POINTS = 0x110000
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
"""Mixes keys: 2^64 by the golden ratio, odd."""

BATCH = 256
VOCABULARY, TRAINING_LINES = 8_000, 10_000


class Table:
    """What a key leads to, as constants of a graph.

    :param entries: values by key, not negative.
    """

    def __init__(self, g: Graph, entries: Mapping[int, Sequence[int]], name: str) -> None:
        table, slots = build(np.array([[*entries]], np.int64), (GOLDEN,))
        self.hash = HashTable(g, table, name)
        self.values = []
        for column in np.array([*entries.values()], np.int64).T:
            stored = np.zeros(table.slots, np.int64)
            stored[slots] = column
            self.values.append(g.constant(stored, f"{name}_values"))

    def find(self, g: Graph, key: Value) -> tuple[Value, Value]:
        """:param key: int64 [P]. :return: int64 [P], bool [P]: the slot, and whether the key is there."""
        return self.hash.find(g, [key], key * GOLDEN)


# Unigram: all pieces at all places, the best way to each place, and back.

DEAD, UNKNOWN = 0, 1
"""The first two nodes of a trie: no piece, and a character that is no piece."""

UNKNOWN_PENALTY = 10.0
"""What an unknown character's score is below the lowest: K_UNK_PENALTY of `tokenizers`."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """:ivar numbers: int64 [CODE_POINTS], of the characters of pieces, from 1; 0 for all others.
    :ivar first: int64 [numbers], the node of each first character. :ivar steps: the node by (node, number).
    :ivar ids: int64 [nodes], -1 where no piece ends. :ivar scores: float64 [nodes], NONE where no piece ends.
    :ivar grows: bool [nodes], whether a longer piece begins with it. :ivar longest: characters of a piece.
    """

    numbers: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    steps: dict[tuple[int, int], int]
    ids: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    grows: npt.NDArray[np.bool_]
    longest: int
    unk_id: int


def read_pieces(tokenizer: Tokenizer) -> Pieces:
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: list[tuple[str, float]] = model["vocab"]
    unk_id: int = model["unk_id"]
    alphabet = {c: i + 1 for i, c in enumerate(sorted({c for piece, _ in vocabulary for c in piece}))}
    lowest = min(score for _, score in vocabulary)
    ids, scores, nodes = [-1, unk_id], [NONE, lowest - UNKNOWN_PENALTY], {}
    for token_id, (piece, score) in enumerate(vocabulary):
        for end in range(1, len(piece) + 1):
            if piece[:end] not in nodes:
                nodes[piece[:end]] = len(ids)
                ids.append(-1)
                scores.append(NONE)
        # The last of equal pieces counts, as in `tokenizers`.
        ids[nodes[piece]], scores[nodes[piece]] = token_id, score
    numbers, first = np.zeros(CODE_POINTS, np.int64), np.zeros(len(alphabet) + 1, np.int64)
    grows = np.zeros(len(ids), np.bool_)
    for c, number in alphabet.items():
        numbers[ord(c)], first[number] = number, nodes.get(c, DEAD)
    steps = {(nodes[p[:-1]], alphabet[p[-1]]): node for p, node in nodes.items() if len(p) > 1}
    grows[[node for node, _ in steps]] = True
    longest = max(len(piece) for piece, _ in vocabulary)
    return Pieces(numbers, first, steps, np.array(ids), np.array(scores), grows, longest, unk_id)


def match(g: Graph, pieces: Pieces, codes: Value) -> Value:
    """Find all pieces, character by character at all places that go on.

    :param codes: int64 [P]. :return: int64 [P * longest]: for each place the nodes of the pieces that end there, the
        longest first.
    """
    most = pieces.longest
    table = Table(g, {node * len(pieces.first) + c: [to] for (node, c), to in pieces.steps.items()}, "steps")
    ids, grows = g.constant(pieces.ids, "ids"), g.constant(pieces.grows, "grows")
    numbers = look_up(g, g.constant(pieces.numbers, "numbers"), codes)
    place, node = numbered(g, codes.size()), look_up(g, g.constant(pieces.first, "first"), numbers)
    alone = g.op("Where", look_up(g, ids, node) < 0, np.array(UNKNOWN), node)
    slots, nodes = [place * most + (most - 1)], [alone]
    for length in range(2, most + 1):
        goes_on = look_up(g, grows, node)
        place, node = keep(g, place, goes_on), keep(g, node, goes_on)
        slot, found = table.find(g, node * len(pieces.first) + look_up(g, numbers, place + (length - 1)))
        place, node = keep(g, place, found), look_up(g, table.values[0], keep(g, slot, found))
        slots.append((place + (length - 1)) * most + (most - length))
        nodes.append(node)
    none = g.op("Expand", np.array([DEAD]), codes.size() * most).of_rank(1)
    return g.op("ScatterElements", none, g.concat(slots), g.concat(nodes))


def best_lengths(g: Graph, scores: Value, starts: Value, lengths: Value) -> Value:
    """The length of the last piece of the best way to each place: one place a round of all words that go on.

    Scores are added from the left, and of equal sums the longest piece wins, as in `tokenizers`.

    :param scores: float64 [P, longest], the least value where no piece ends.
    :param starts: int64 [W]. :param lengths: int64 [W], at least 1.
    :return: int64 [P].
    """
    most = int(scores.type.tensor_type.shape.dim[1].dim_value)
    longest_first = np.arange(most, 0, -1, dtype=np.int32)
    lengths, order = g.op_many("TopK", 2, lengths, lengths.size(), largest=1)
    starts = look_up(g, starts, order)
    before = np.full((1, most), NONE, scores.dtype)
    before[0, -1] = 0
    before_all = g.op("Expand", before, g.concat([starts.size(), np.array([1])])).of_rank(2)

    def one_place(g: Graph, i: Value, sums: Value, chosen: Value) -> tuple[Value, list[Value], list[Value]]:
        going = g.op("ReduceSum", (lengths > i).cast(np.int64), keepdims=1).of_rank(1)
        places = g.op("Slice", starts, np.array([0]), going).of_rank(1) + i
        sums = g.op("Slice", sums, np.array([0]), going).of_rank(2)
        reached = sums + g.op("Gather", scores, places, axis=0)
        best = g.op("ReduceMax", reached, np.array([1]), keepdims=1)
        tied = reached.equals(best).cast(np.int32) * longest_first
        length = g.op("ReduceMax", tied, np.array([1]), keepdims=0)
        chosen = g.op("ScatterElements", chosen, places, length)
        sums = g.concat([sums.slice(1, most, axis=1), best], axis=1)
        return g.constant(np.array(True)), [sums, chosen], []

    trips = lengths.slice(0, 1).squeeze(0)
    return g.loop([before_all, zeros(g, scores.size())], one_place, trips=trips)[1].cast(np.int64)


NONE = -(2.0**60)
"""The score of no piece: it can be added to others and stays below them, in every dtype."""

FRACTION_BITS = 40
"""Of scores as integers."""


def scores_as(scores: npt.NDArray[np.float64], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if np.dtype(dtype) == np.int64:
        scores = np.rint(np.where(scores > NONE, scores * 2.0**FRACTION_BITS, NONE))
    return scores.astype(dtype)


def unigram(g: Graph, codes: Value, ends: Value, *, pieces: Pieces, dtype: npt.DTypeLike) -> tuple[Value, Value]:
    """:param codes: int64 [P]. :param ends: int64 [W], the places of END. :param dtype: of the sums.
    :return: int64 [T], int64 [W]: ids, and how many there are up to each word's end.
    """
    starts = g.concat([np.array([0]), ends.slice(0, -1) + 1])
    is_end = codes.equals(END)
    with g.scope("match"):
        nodes = match(g, pieces, codes)
        scores = look_up(g, g.constant(scores_as(pieces.scores, dtype), "scores"), nodes)
    with g.scope("best"):
        length = best_lengths(g, scores.reshape(-1, pieces.longest), starts, ends - starts)
    with g.scope("back"):
        # From each word's last piece to the end of the word before, where all chains end. In reverse, as chains ascend.
        here, size = numbered(g, codes.size()), codes.size()
        reverse = size - 1 - here
        before = g.op("Where", is_end, np.array(-1), here - length)
        jump = g.concat([look_up(g, size - 1 - before, reverse), size])
        marks = g.op("ScatterElements", zeros(g, size + 1), size - ends, ones(g, ends.size()))
        marks = look_up(g, reachable(g, marks, jump), reverse)
    with g.scope("emit"):
        kept = (marks > 0) | is_end
        at = positions(g, kept)
        length = g.op("Max", keep(g, length, kept), np.array([1]))
        node = look_up(g, nodes, (at + 1) * pieces.longest - length)
        ids = g.op("Where", keep(g, is_end, kept), np.array(-1), look_up(g, g.constant(pieces.ids, "ids"), node))
        # Unknown characters in a row are one token.
        again = ids.equals(pieces.unk_id) & g.concat([np.array([-1]), ids.slice(0, -1)]).equals(pieces.unk_id)
        emitted = (ids >= 0) & ~again
        counts = look_up(g, counted(g, emitted.cast(np.int64)), positions(g, ids.equals(-1)))
    return keep(g, ids, emitted), counts


# Byte-level BPE: the cuts of GPT-2's regular expression, short words at once, in the others one merge a round.

LETTER, NUMBER, OTHER, SPACE, BOUNDARY = range(5)
SHORT, SHORT_BITS = 7, 9
"""Bytes of a word whose key is one int64, and bits of each byte there."""

NO_MERGE, RANK_BITS = 1 << 62, 32
"""Above all ranks, and where a rank begins above the place that it is at."""


@dataclass(frozen=True, eq=False)
class Merges:
    """:ivar kinds: int64 [CODE_POINTS]. :ivar symbols: int64 [257], ids of the bytes, and ``size`` for END.
    :ivar of_pair: (rank, id) by the key of two ids. :ivar whole: (id,) by the key of a short word that is one token.
    :ivar size: of the vocabulary.
    """

    kinds: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.int64]
    of_pair: dict[int, tuple[int, int]]
    whole: dict[int, tuple[int]]
    size: int


def read_merges(tokenizer: Tokenizer) -> Merges:
    model = json.loads(tokenizer.to_str())["model"]
    ids: dict[str, int] = model["vocab"]
    size = max(ids.values()) + 1
    themselves = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted({*range(0x100)} - {*themselves})
    byte_of = {chr(b): b for b in themselves} | {chr(0x100 + i): b for i, b in enumerate(others)}
    symbols = np.full(257, size, np.int64)
    for character, byte in byte_of.items():
        symbols[byte] = ids[character]
    of_pair = {
        ids[a] * (size + 1) + ids[b]: (rank, ids[a + b]) for rank, (a, b) in enumerate(map(tuple, model["merges"]))
    }
    whole: dict[int, tuple[int]] = {}
    for piece, token_id in ids.items():
        # The library itself says whether the merges lead there.
        if len(piece) <= SHORT and [token.id for token in tokenizer.model.tokenize(piece)] == [token_id]:
            whole[sum(byte_of[c] + 1 << i * SHORT_BITS for i, c in enumerate(piece))] = (token_id,)
    return Merges(kinds_of(tokenizer), symbols, of_pair, whole, size)


def kinds_of(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """Ask the pre-tokenizer what each code point goes together with."""
    cut = tokenizer.pre_tokenizer.pre_tokenize_str
    kinds = np.full(CODE_POINTS, SPACE, np.int64)
    for c in (*range(END), *range(END + 0x800, CODE_POINTS)):
        for kind, before in ((OTHER, "!"), (LETTER, "a"), (NUMBER, "1")):
            if len(cut(before + chr(c))) == 1:
                kinds[c] = kind
                break
    kinds[END] = BOUNDARY
    return kinds


def begins_of(g: Graph, codes: Value, kinds: npt.NDArray[np.int64]) -> Value:
    """Where words begin: all cuts of the regular expression can be told from three characters before and after.

    :param codes: int64 [P], the last is END. :return: bool [P]; END is a word.
    """
    kind = look_up(g, g.constant(kinds, "kinds"), codes)
    before, after = shifted(g, kind, 1, BOUNDARY), shifted(g, kind, -1, BOUNDARY)
    after_blank = shifted(g, codes, 1, END).equals(ord(" "))
    is_space, is_boundary = kind.equals(SPACE), kind.equals(BOUNDARY)
    # A blank belongs to what follows; of several spaces before a word, the last is on its own or the word's.
    space_begins = ~before.equals(SPACE) | (after < SPACE)
    word_begins = ~(before.equals(kind) | after_blank) | is_boundary
    begins = (is_space & space_begins) | (~is_space & word_begins)
    # 's and the like, where the apostrophe is not drawn to a blank or other signs before it.
    apostrophe = codes.equals(ord("'")) & ~(before.equals(OTHER) | after_blank)
    pair = shifted(g, codes, -1, END) * CODE_POINTS + shifted(g, codes, -2, END)
    long = apostrophe & any_equal(pair, [ord(a) * CODE_POINTS + ord(b) for a, b in ("re", "ve", "ll")])
    short = apostrophe & any_equal(shifted(g, codes, -1, END), [*map(ord, "stmd")])
    short, long = short.cast(np.int64), long.cast(np.int64)
    inside = shifted(g, short, 1, 0) + shifted(g, long, 1, 0) + shifted(g, long, 2, 0)
    behind = shifted(g, short, 2, 0) + shifted(g, long, 3, 0)
    return (begins & inside.equals(0)) | (short + long + behind > 0) | is_boundary


def shifted(g: Graph, values: Value, by: int, filler: int) -> Value:
    """:param values: int64 [P]. :return: int64 [P]: at each place what is ``by`` before."""
    fill = np.full(abs(by), filler, np.int64)
    padded = g.concat([fill, values] if by > 0 else [values, fill])
    return padded.slice(0, -by) if by > 0 else padded.slice(-by, LAST)


def any_equal(values: Value, wanted: Sequence[int]) -> Value:
    found = values.equals(wanted[0])
    for other in wanted[1:]:
        found = found | values.equals(other)
    return found


def to_utf8(g: Graph, codes: Value) -> tuple[Value, Value, Value]:
    """:param codes: int64 [P]. :return: int64 [Q], int64 [Q], int64 [Q]: bytes, 256 for END; of each the place of its
    character, and its own place in it.
    """
    is_end = codes.equals(END)
    length = (codes >= 0x80).cast(np.int64) + (codes >= 0x800).cast(np.int64) + (codes >= 0x10000).cast(np.int64) + 1
    length = g.op("Where", is_end, np.array(1), length)
    character, place = groups(g, length)
    length = look_up(g, length, character)
    bits = look_up(g, codes, character) // look_up(g, g.constant(64 ** np.arange(4)), length - 1 - place)
    lead = bits + look_up(g, g.constant(np.array([0, 0xC0, 0xE0, 0xF0])), length - 1)
    utf8 = g.op("Where", place.equals(0), lead, g.op("BitwiseAnd", bits, 0x3F) + 0x80)
    return g.op("Where", look_up(g, is_end, character), np.array(256), utf8), character, place


def bpe(g: Graph, codes: Value, ends: Value, *, merges: Merges) -> tuple[Value, Value]:
    """:param codes: int64 [P], texts, each with END behind it. :param ends: int64 [W].
    :return: int64 [T], int64 [W]: ids, and how many there are up to each text's end.
    """
    with g.scope("words"):
        begins = begins_of(g, codes, merges.kinds)
        utf8, character, place = to_utf8(g, codes)
        begins = look_up(g, begins, character) & place.equals(0)
        word = g.op("CumSum", begins.cast(np.int64), np.array(0)).of_rank(1) - 1
        starts = positions(g, begins)
        size = g.concat([starts.slice(1, LAST), utf8.size()]) - starts
    with g.scope("whole"):
        known = Table(g, merges.whole, "whole")
        slot, found = known.find(g, short_keys(g, utf8, starts, size))
        symbols = look_up(g, g.constant(merges.symbols, "symbols"), utf8)
        found = found & (size <= SHORT)
        ids = look_up(g, known.values[0], slot)
        result = g.op("Where", look_up(g, found, word), np.array(-1), symbols)
        result = g.op("ScatterElements", result, keep(g, starts, found), keep(g, ids, found))
    with g.scope("merge"):
        is_end = utf8.equals(256)
        rest = ~(look_up(g, found, word) | is_end)
        number = counted(g, (~found).cast(np.int64))
        of_rest = look_up(g, number, keep(g, word, rest))
        merged = merge_all(g, merges, keep(g, symbols, rest), positions(g, rest), of_rest, result)
    emitted = (merged >= 0) & ~is_end
    return keep(g, merged, emitted), look_up(g, counted(g, emitted.cast(np.int64)), positions(g, is_end))


def short_keys(g: Graph, utf8: Value, starts: Value, size: Value) -> Value:
    """:return: int64 [W]: the first bytes, each and 1 more, END and what is behind the word as 0."""
    padded = g.concat([utf8 + 1, np.zeros(SHORT, np.int64)])
    key = look_up(g, padded, starts)
    for i in range(1, SHORT):
        inside = (size > i).cast(np.int64)
        key = key + look_up(g, padded, starts + i) * inside * (1 << i * SHORT_BITS)
    return key


def merge_all(g: Graph, merges: Merges, symbols: Value, places: Value, word: Value, result: Value) -> Value:
    """In each round the merge of the lowest rank of each word, the leftmost of equal ones. Words without one are done.

    :param symbols: int64 [Q]. :param places: int64 [Q], in ``result``. :param word: int64 [Q], the word's number,
        ascending. :param result: int64 [P].
    :return: int64 [P], ids, -1 where a symbol became part of the one before.
    """
    table = Table(g, merges.of_pair, "merges")
    ranks, merged_ids = table.values

    def one_merge(
        g: Graph, _: Value, symbol: Value, place: Value, word: Value, result: Value
    ) -> tuple[Value, list[Value], list[Value]]:
        slot, found = table.find(g, symbol * (merges.size + 1) + shifted(g, symbol, -1, merges.size))
        found = found & word.equals(shifted(g, word, -1, -1))
        key = look_up(g, ranks, slot) * (1 << RANK_BITS) + numbered(g, symbol.size())
        key = g.op("Where", found, key, np.array(NO_MERGE))
        none = g.op("Expand", np.array([NO_MERGE]), g.concat([np.array([-1]), word]).slice(-1, LAST) + 1).of_rank(1)
        best = g.op("ScatterElements", none, word, key, reduction="min")
        goes_on = best < NO_MERGE
        left = keep(g, best, goes_on) % (1 << RANK_BITS)
        right = left + 1
        merged = look_up(g, merged_ids, look_up(g, slot, left))
        symbol = g.op("ScatterElements", symbol, left, merged)
        gone = g.op("Expand", np.array([-1]), right.size()).of_rank(1)
        changed = look_up(g, place, g.concat([left, right]))
        result = g.op("ScatterElements", result, changed, g.concat([merged, gone]))
        stays = look_up(g, goes_on, word).cast(np.int32)
        stays = g.op("ScatterElements", stays, right, zeros(g, right.size())) > 0
        renumbered = look_up(g, counted(g, goes_on.cast(np.int64)), keep(g, word, stays))
        return (left.size() > 0).squeeze(0), [keep(g, symbol, stays), keep(g, place, stays), renumbered, result], []

    return g.loop([symbols, places, word, result], one_merge)[3]


# The models, and the comparison.

Build = Callable[[Graph, Value, Value], tuple[Value, Value]]
Words = list[list[str]]
"""What the graph is given for each text: its words, or the whole text as one."""


@dataclass(frozen=True, eq=False)
class Case:
    """:ivar words: what the graph is given. :ivar same: what takes these words, joined by SEPARATOR, and does the same
    work as the graph.
    """

    name: str
    tokenizer: Tokenizer
    words: Callable[[Sequence[str]], Words]
    same: Tokenizer
    build: Build


SEPARATOR = "\U0010ffff"


def unigram_cases(name: str, tokenizer: Tokenizer) -> Iterator[Case]:
    model, normalizer, pre_tokenizer = tokenizer.model, tokenizer.normalizer, tokenizer.pre_tokenizer
    whole, same = Tokenizer(model), Tokenizer(model)
    whole.normalizer, whole.pre_tokenizer = normalizer, pre_tokenizer
    same.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(SEPARATOR)
    pieces = read_pieces(tokenizer)

    def words(cut: Any, texts: Sequence[str]) -> Words:
        return [[word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))] for text in texts]

    for dtype in (np.float64, np.float32, np.int64):
        build = partial(unigram, pieces=pieces, dtype=dtype)
        yield Case(f"{name}, {np.dtype(dtype)}", whole, partial(words, pre_tokenizer), same, build)
    if not pre_tokenizer.split:
        build = partial(unigram, pieces=pieces, dtype=np.float64)
        yield Case(f"{name}, cut, float64", whole, partial(words, pre_tokenizers.Metaspace()), same, build)


def cases(training: Sequence[str]) -> Iterator[Case]:
    fixture = SHARED / "models" / "model2vec-rs-fixtures" / "test-model-vocab-quantized" / "tokenizer.json"
    yield from unigram_cases("Unigram, sentences", Tokenizer.from_file(str(fixture)))
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    trainer: Any = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(training, trainer)
    yield from unigram_cases("Unigram, words", tokenizer)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(training, trainer)
    build = partial(bpe, merges=read_merges(tokenizer))
    yield Case("BPE, byte-level", tokenizer, lambda texts: [[text] for text in texts], tokenizer, build)


def session_of(case: Case) -> ort.InferenceSession:
    """A graph of ``codes`` int32 [P] to ``ids`` int64 [T] and ``counts`` int64 [W], on one thread."""
    g = Graph()
    codes = g.input("codes", np.int32, ["P"]).cast(np.int64)
    ids, counts = case.build(g, codes, positions(g, codes.equals(END)))
    g.output(ids, "ids", ["T"])
    g.output(counts, "counts", ["W"])
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(g.model({}).SerializeToString(), options, providers=["CPUExecutionProvider"])


def pack(texts: Words) -> npt.NDArray[np.int32]:
    """:return: int32 [P]: code points, and END after each word."""
    joined = "".join(word + chr(END) for words in texts for word in words)
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.int32)


def differing(case: Case, session: ort.InferenceSession, texts: Sequence[str]) -> int:
    """How many texts have other ids than `tokenizers` gives."""
    wrong = 0
    for begin in range(0, len(texts), BATCH):
        some = texts[begin : begin + BATCH]
        words = case.words(some)
        ids, counts = session.run(None, {"codes": pack(words)})
        ends = np.concatenate([[0], counts])[np.cumsum([0, *map(len, words)])]
        due = case.tokenizer.encode_batch_fast(some, add_special_tokens=False)
        wrong += sum(ids[a:b].tolist() != one.ids for (a, b), one in zip(pairwise(ends), due, strict=True))
    return wrong


def race(case: Case, session: ort.InferenceSession, texts: Sequence[str]) -> list[float]:
    """Each batch is new: `tokenizers` has its cache, filled with other texts.

    :return: microseconds a text of the graph, of what does the same work, and of the whole tokenizer.
    """
    case.tokenizer.model._clear_cache()
    seconds: list[list[float]] = [[], [], []]
    for begin in range(0, len(texts) - BATCH + 1, BATCH):
        some = texts[begin : begin + BATCH]
        words = case.words(some)
        joined = [SEPARATOR.join(of) for of in words]
        start = time.perf_counter()
        session.run(None, {"codes": pack(words)})
        seconds[0].append(time.perf_counter() - start)
        # Not both on one batch, whose words would be in the cache.
        which, tokenizer, given = ((1, case.same, joined), (2, case.tokenizer, some))[begin // BATCH % 2]
        start = time.perf_counter()
        tokenizer.encode_batch_fast(given, add_special_tokens=False)
        seconds[which].append(time.perf_counter() - start)
    return [statistics.median(of) / BATCH * 1e6 for of in seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=4096, help="texts of each kind, 512 at least")
    count = parser.parse_args().texts
    need_shared()
    rng = np.random.default_rng(0)
    english, multilingual = (
        rng.permutation(lines(f"{name}.txt")).tolist() for name in ("sentences_en", "multilingual")
    )
    rows = []
    for case in cases(english[-TRAINING_LINES:] + multilingual[-TRAINING_LINES:]):
        session = session_of(case)
        fuzzed = fuzzed_texts(case.tokenizer, count, seed=1)
        for kind, texts in (("English", english[:count]), ("multilingual", multilingual[:count]), ("fuzzed", fuzzed)):
            rows.append([case.name, kind, differing(case, session, texts), *race(case, session, texts)])
    heads = ["graph", "texts", f"differ of {count}", "graph us", "the same us", "whole tokenizer us"]
    print(tabulate(rows, heads, floatfmt=".1f"))


if __name__ == "__main__":
    main()
