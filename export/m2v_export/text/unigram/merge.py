"""The tokens of the words that are cut, as they are kept and fused."""

import numpy as np

from m2v_export.graphs.arrays import counted, keep, look_up, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters
from m2v_export.text.stages.tokens import Tokens


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
