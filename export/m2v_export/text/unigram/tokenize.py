"""Unigram with its normalizer and pre-tokenizer, as a graph: the stages in their order."""

import numpy as np

from m2v_export.graphs.arrays import any_of, counted, look_up, places_of_all, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.stages.cut import decode_and_cut
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.tokens import merge_words
from m2v_export.text.stages.truncate import finish
from m2v_export.text.stages.words import WholeWords, WordPlaces, begin_at, split_words
from m2v_export.text.tables.alphabet import Alphabet
from m2v_export.text.unigram.merge import fused, spelled
from m2v_export.text.unigram.quick import quick_pieces
from m2v_export.text.unigram.search import Search
from m2v_export.text.unigram.tables import UnigramTables
from m2v_export.text.unigram.ties import find_sections, settle
from m2v_export.text.unigram.words import cut_words


def build_ids(g: Graph, utf8: Value, offsets: Value, tables: UnigramTables, limits: Limits) -> tuple[Value, Value]:
    """Texts to token ids, as ``StaticModel.tokenize`` of model2vec 0.10 has them.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :return: int64 [T'], int64 [N]: ids, and where each text's begin.
    """
    symbols, offsets = decode_and_cut(g, utf8, offsets, limits.code_points)
    with g.stage("normalize"):
        begins, starts = codes_of(g, symbols, offsets, tables.normalization)
    with g.stage("words"):
        words = split_words(g, begins, tables.alphabet)
        values, differs = WholeWords(g, tables.words).find(g, words)
        first_words = look_up(g, counted(g, begin_at(words.nodes, tables.alphabet).cast(np.int32)), starts)
    with g.stage("pieces"):
        search = Search(g, tables.pieces)
        unfound = positions(g, differs).slice(0, -1)

        def cut_them(g: Graph) -> list[Value]:
            several, sums = cut_words(g, search, words, unfound, first_words, tables)
            if tables.carries:
                with g.stage("ties"):
                    sections = find_sections(g, first_words, _are_added(g, words, tables.alphabet))
                    several, ends = settle(g, search, several, sums, values, unfound, sections)
                apart = sections.firsts
            else:
                ends, apart = several.ends(g), places_of_all(g, values)
            merged, begins = merge_words(g, values, unfound, several.tokens(g, ends))
            unk_id, spelling = tables.pieces.unk_id, tables.pieces.spelling
            if spelling is None:
                is_unknown = search.ids(g, merged).equals(unk_id).cast(np.int32)
                merged, begins = fused(g, merged, begins, is_unknown, apart)
            else:
                merged, begins = spelled(g, merged, begins, apart, unk_id + 1, spelling)
            return [merged, look_up(g, begins, first_words)]

        def try_quickly(g: Graph) -> list[Value]:
            with g.stage("quick"):
                done, merged, offsets = quick_pieces(g, search, words, values, unfound, starts, tables)
            return g.if_(done, lambda g: [merged, offsets], cut_them)

        # The last word is the end.
        values, offsets = g.if_(unfound.size() > 0, try_quickly, lambda g: [values.slice(0, -1), first_words])
        ids = search.ids(g, values)
    with g.stage("truncate"):
        left_out = limits.left_out
        unknown = None if left_out is None else (left_out, any_of(g, ids.equals(left_out)))
        return finish(g, ids, offsets, limits.tokens, unknown)


def _are_added(g: Graph, words: WordPlaces, alphabet: Alphabet) -> Value:
    """:return: int32 [W + 1], 1 for added tokens."""
    first = look_up(g, words.codes, words.starts)
    return (first >= alphabet.first_added).cast(np.int32)
