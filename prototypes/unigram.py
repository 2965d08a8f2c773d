"""A trial: Unigram as a graph. All pieces at all places, the best way to each place, and back from the end.

Words are code points, each followed by ``END``, as the normalizer and the pre-tokenizer leave them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from m2v_export.graphs.arrays import counted, keep, look_up, numbered, ones, positions, reachable, zeros
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.tables.hashing import build_by_remainders

END = 0xD800
"""Follows each word: a lone surrogate, which no text has."""

CODE_POINTS = 0x110000
GOLDEN = 0x9E3779B97F4A7C15 - 2**64
"""Mixes keys: 2^64 by the golden ratio, odd."""


class Table:
    """What a key leads to, as constants of a graph.

    :param entries: values by key, not negative.
    """

    def __init__(self, g: Graph, entries: Mapping[int, Sequence[int]], name: str) -> None:
        keys = np.array([*entries], np.int64)
        table, slots = build_by_remainders(keys, keys * GOLDEN)
        self.hash = HashTable(g, table, name, np.int64)
        self.values = []
        for column in np.array([*entries.values()], np.int64).T:
            stored = np.zeros(table.slots, np.int64)
            stored[slots] = column
            self.values.append(g.constant(stored, f"{name}_values"))

    def find(self, g: Graph, key: Value) -> tuple[Value, Value]:
        """:param key: int64 [P]. :return: int64 [P], bool [P]: the slot, and whether the key is there."""
        slots = self.hash.slots(g, key * GOLDEN)
        return slots, look_up(g, self.hash.keys, slots).equals(key)


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
    lengths, order = g.op_many("TopK", 2, lengths, lengths.size(), largest=1)
    starts = look_up(g, starts, order)
    before = np.full((1, most), NONE, scores.dtype)
    before[0, -1] = 0
    before_all = g.op("Gather", before, zeros(g, starts.size()), axis=0)

    def one_place(g: Graph, i: Value, sums: Value, chosen: Value) -> tuple[Value, list[Value], list[Value]]:
        going = g.op("ReduceSum", (lengths > i).cast(np.int64), keepdims=1).of_rank(1)
        places = g.op("Slice", starts, np.array([0]), going).of_rank(1) + i
        sums = g.op("Slice", sums, np.array([0]), going).of_rank(2)
        reached = sums + g.op("Gather", scores, places, axis=0)
        best = g.op("ReduceMax", reached, np.array([1]), keepdims=1)
        # The first of equal ones is the longest.
        column = g.op("ArgMax", reached, axis=1, keepdims=0)
        chosen = g.op("ScatterElements", chosen, places, column)
        sums = g.concat([sums.slice(1, most, axis=1), best], axis=1)
        return g.constant(np.array(True)), [sums, chosen], []

    trips = lengths.slice(0, 1).squeeze(0)
    unreached = zeros(g, scores.size()).cast(np.int64)
    return g.loop([before_all, unreached], one_place, trips=trips)[1] * -1 + most


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
