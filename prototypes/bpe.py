"""A trial: byte-level BPE as a graph. The cuts of GPT-2's regular expression, short words at once, in the others one
merge a round.

Texts are code points, each followed by ``END``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from m2v_export.graphs.arrays import END as LAST
from m2v_export.graphs.arrays import counted, keep, look_up, numbered, positions, zeros, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import characters_of
from prototypes.unigram import CODE_POINTS, END, Table

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
    sizes = length.cast(np.int32)
    places = characters_of(g, zeros_like(sizes), sizes)
    character, place = places.word.cast(np.int64), places.at.cast(np.int64)
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
