"""The tokens of the words that are cut, as they are kept and fused."""

import numpy as np

from m2v_export.graphs.arrays import END, any_of, counted, keep, look_up, places_of_all, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters, characters_of
from m2v_export.text.stages.tokens import Tokens
from m2v_export.text.unigram.pieces import Spelling


def tokens_of(g: Graph, values: Value, ends: Value, words: WordCharacters, sizes: Value) -> Tokens:
    """:param values: int32 [P], of the last piece of the best way to each symbol.
    :param ends: int32 [P], 1 where a piece ends. :param sizes: int32 [M], symbols of each word.
    """
    up_to = look_up(g, g.op("CumSum", ends, np.array(0)).of_rank(1), words.firsts + sizes - 1)
    before = previous(g, up_to)
    kept = ends.cast(np.bool_)
    return Tokens(keep(g, values, kept), keep(g, words.word, kept), up_to - before, before)


def without(g: Graph, tokens: Tokens, gone: Value) -> Tokens:
    """:param gone: int32 [Q], 1 for tokens to leave out, 0 for others."""

    def left(g: Graph) -> list[Value]:
        kept = gone < 1
        of_words = g.op("ScatterElements", zeros_like(tokens.counts), tokens.words, gone, reduction="add")
        gone_before = look_up(g, counted(g, g.op("Pad", gone, np.array([0, 1])).of_rank(1)), tokens.before)
        values, words = keep(g, tokens.values, kept), keep(g, tokens.words, kept)
        return [values, words, tokens.counts - of_words, tokens.before - gone_before]

    some = g.op("ReduceMax", gone, keepdims=0) > 0
    return Tokens(*g.if_(some, left, lambda g: [tokens.values, tokens.words, tokens.counts, tokens.before]))


def fused(g: Graph, values: Value, begins: Value, is_unknown: Value, apart: Value) -> tuple[Value, Value]:
    """Unknown tokens in a row are one.

    :param values: int32 [T]. :param begins: int32 [W + 1], where each word's tokens begin.
    :param is_unknown: int32 [T], 1 for unknown tokens.
    :param apart: int32 or int64 [A], words that what is before them is no part of.
    :return: as ``values`` and ``begins``.
    """
    behind = g.op("Pad", is_unknown, np.array([1, 0])).of_rank(1)
    first = look_up(g, begins, apart)
    again = g.op("ScatterElements", behind, first, zeros_like(first)).slice(0, -1).sized_as(is_unknown) * is_unknown

    def once(g: Graph) -> list[Value]:
        gone = counted(g, g.op("Pad", again, np.array([0, 1])).of_rank(1))
        return [keep(g, values, again < 1), begins - look_up(g, gone, begins)]

    some = g.op("ReduceMax", again, keepdims=0) > 0
    merged, starts = g.if_(some, once, lambda g: [values, begins])
    return merged, starts


def spelled(
    g: Graph, values: Value, begins: Value, apart: Value, unknown: int, spelling: Spelling
) -> tuple[Value, Value]:
    """Unknown characters become the tokens of their bytes, and so does the unknown token beside one.

    :param values: int32 [T]. :param begins: int32 [W + 1], where each word's tokens begin.
    :param apart: int32 or int64 [A], words that what is before them is no part of.
    :param unknown: the value of the unknown token. :return: as ``values`` and ``begins``.
    """
    is_token = values.equals(unknown)
    some = any_of(g, is_token | (values >= spelling.characters))

    def spell(g: Graph) -> list[Value]:
        own = ((values >= spelling.first) | is_token).cast(np.int32)
        padded = g.op("Pad", own, np.array([1, 1])).of_rank(1)
        firsts = look_up(g, begins, apart)
        # 0 where what is before is apart.
        joins = g.op("ScatterElements", zeros_like(padded) + 1, firsts, zeros_like(firsts)).sized_as(padded)
        before = (padded.slice(0, -2) * joins.slice(0, -2)).sized_as(own)
        behind = (padded.slice(2, END) * joins.slice(1, -1)).sized_as(own)
        is_beside = is_token & ((before + behind) > 0)
        last = np.array(len(spelling.sizes), np.int32)
        row = g.op("Max", values - (spelling.characters - 1), np.array(0, np.int32))
        row = g.op("Where", is_beside, last, row)
        sizes = look_up(g, g.constant(np.append(1, spelling.sizes).astype(np.int32), "spelled_sizes"), row)
        first = look_up(g, g.constant(np.append(0, spelling.firsts).astype(np.int32), "spelled_firsts"), row)
        first = g.op("Where", row > 0, first + values.size().cast(np.int32), places_of_all(g, values))
        written = look_up(g, g.concat([values, spelling.values]), characters_of(g, first, sizes).at)
        return [written, look_up(g, counted(g, g.op("Pad", sizes, np.array([0, 1])).of_rank(1)), begins)]

    written, starts = g.if_(some, spell, lambda g: [values, begins])
    return written, starts
