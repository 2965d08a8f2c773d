"""Unigram with its normalizer and pre-tokenizer, as a graph: the stages in their order."""

import numpy as np

from m2v_export.graphs.arrays import any_of, counted, keep, later, look_up, positions, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.stages.characters import WordCharacters, characters_of
from m2v_export.text.stages.cut import cut
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.truncate import finish
from m2v_export.text.stages.words import WholeWords, WordPlaces, begin_at, is_part, split_words
from m2v_export.text.unigram.best import best_ways, pieces_of
from m2v_export.text.unigram.merge import Tokens, merge_words, tokens_of
from m2v_export.text.unigram.search import Search
from m2v_export.text.unigram.tables import UnigramTables


def build_ids(g: Graph, utf8: Value, offsets: Value, tables: UnigramTables, limits: Limits) -> tuple[Value, Value]:
    """Texts to token ids, as ``StaticModel.tokenize`` of model2vec 0.10 has them.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :return: int64 [T'], int64 [N]: ids, and where each text's begin.
    """
    if limits.code_points is None:
        symbols = decode(g, utf8)
    else:
        with g.stage("cut"):
            symbols, offsets = cut(g, utf8, offsets, limits.code_points)
    with g.stage("normalize"):
        begins, starts = codes_of(g, symbols, offsets, tables.normalization)
    with g.stage("words"):
        words = split_words(g, begins, tables.alphabet)
        values, differs = WholeWords(g, tables.words).find(g, words)
        first_words = look_up(g, counted(g, begin_at(words.nodes, tables.alphabet).cast(np.int32)), starts)
    with g.stage("pieces"):
        search = Search(g, tables.pieces)
        unfound = positions(g, differs).slice(0, -1)

        def cut_words(g: Graph) -> list[Value]:
            return list(merge_words(g, values, unfound, _tokens(g, tables, search, words, unfound), first_words))

        # The last word is the end.
        values, offsets = g.if_(unfound.size() > 0, cut_words, lambda g: [values.slice(0, -1), first_words])
        ids = look_up(g, search.ids, values)
    with g.stage("truncate"):
        left_out = limits.left_out
        unknown = None if left_out is None else (left_out, any_of(g, ids.equals(left_out)))
        return finish(g, ids, offsets, limits.tokens, unknown)


def _tokens(g: Graph, tables: UnigramTables, search: Search, words: WordPlaces, unfound: Value) -> Tokens:
    """Cut words the best way. :param unfound: int64 [M], M > 0, which."""
    own, sizes, symbols = _symbols(g, tables, words, unfound)
    found = search.find(g, symbols)
    best = best_ways(g, found.scores, own, sizes, None)
    kept = pieces_of(g, best, found.scores.size(1), own, sizes)
    values = look_up(g, found.values.reshape(-1), best.chosen * own.here.size().cast(np.int32) + own.here)
    return _fused(g, search, tokens_of(g, values, kept, own, sizes), tables.pieces.unk_id)


def _symbols(
    g: Graph, tables: UnigramTables, words: WordPlaces, unfound: Value
) -> tuple[WordCharacters, Value, Value]:
    """The symbols of some words, end to end, each with the blank before it.

    :return: the places, int32 [M], how many each word has, and int32 [P].
    """
    starts, gaps = look_up(g, words.starts, unfound), look_up(g, words.gaps, unfound)
    places = characters_of(g, starts, gaps)
    # What separates a word from the next is behind it.
    parts = g.op("CumSum", is_part(g, look_up(g, words.nodes, places.at), tables.alphabet).cast(np.int32), np.array(0))
    up_to = look_up(g, parts.of_rank(1), places.firsts + gaps - 1)
    sizes = up_to - g.op("Pad", up_to, np.array([1, -1])).sized_as(up_to) + 1
    own = characters_of(g, starts - 1, sizes)
    symbols = look_up(g, g.constant(tables.symbols, "symbols"), look_up(g, words.nodes, own.at))
    return own, sizes, g.op("Where", own.begins > 0, np.array(tables.blank, np.int32), symbols)


def _fused(g: Graph, search: Search, tokens: Tokens, unk_id: int) -> Tokens:
    """Unknown tokens of a word in a row are one."""
    is_unknown = look_up(g, search.ids, tokens.values).equals(unk_id).cast(np.int32)
    follows = later(g, is_unknown, -1) * is_unknown
    again = follows * later(g, tokens.words, -1).equals(tokens.words).cast(np.int32)

    def fused(g: Graph) -> list[Value]:
        kept = again < 1
        before = g.op("CumSum", again, np.array(0), exclusive=1).of_rank(1)
        gone = g.op("ScatterElements", zeros_like(tokens.counts), tokens.words, again, reduction="add")
        of = look_up(g, g.op("Pad", before, np.array([0, 1])), tokens.before)
        return [keep(g, tokens.values, kept), keep(g, tokens.words, kept), tokens.counts - gone, tokens.before - of]

    some = g.op("ReduceMax", again, keepdims=0) > 0
    return Tokens(*g.if_(some, fused, lambda g: [tokens.values, tokens.words, tokens.counts, tokens.before]))
