"""BPE with its normalizer and pre-tokenizer, as a graph: the stages in their order."""

import numpy as np

from m2v_export.graphs.arrays import (
    END,
    any_of,
    counted,
    keep,
    look_up,
    places_of_all,
    places_where,
    positions,
    zeros_like,
)
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.bpe.characters import Characters, read_characters, with_characters
from m2v_export.text.bpe.cuts import begin_between, words_begin
from m2v_export.text.bpe.few import FEW_SYMBOLS, merge_few
from m2v_export.text.bpe.merge import Merger
from m2v_export.text.bpe.pairs import Pairs
from m2v_export.text.bpe.tables import BpeTables
from m2v_export.text.limits import Limits
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.cut import decode_and_cut
from m2v_export.text.stages.tokens import Tokens, merge_words
from m2v_export.text.stages.truncate import finish
from m2v_export.text.stages.words import WholeWords, WordPlaces, pack_codes
from m2v_export.text.tables.utf8 import AFTER


def build_ids(g: Graph, utf8: Value, offsets: Value, tables: BpeTables, limits: Limits) -> tuple[Value, Value]:
    """Texts to token ids, as ``StaticModel.tokenize`` of model2vec 0.10 has them.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :return: int64 [T'], int64 [N]: ids, and where each text's begin.
    """
    symbols, offsets = decode_and_cut(g, utf8, offsets, limits.code_points)
    with g.stage("characters"):
        text = read_characters(g, symbols, offsets, tables)
    with g.stage("words"):
        marks = begins_of(g, text, tables)
        words = places_of(g, text.symbols, keep(g, text.at, marks > 0), tables)
        ids, differs = WholeWords(g, tables.words).find(g, words)
        first_words = look_up(g, counted(g, marks), text.starts)
    with g.stage("merges"):
        merger = Merger(g, tables.merges)
        # The last word is the end.
        unfound = positions(g, differs).slice(0, -1)

        def merge(g: Graph) -> list[Value]:
            tokens = _merged(g, merger, text.symbols, words, unfound, tables)
            merged, begins = merge_words(g, ids, unfound, tokens)
            return [merged, look_up(g, begins, first_words)]

        ids, offsets = g.if_(unfound.size() > 0, merge, lambda g: [ids.slice(0, -1), first_words])
    with g.stage("truncate"):
        left_out = limits.left_out
        unknown = None if left_out is None else (left_out, any_of(g, ids.equals(left_out)))
        return finish(g, ids, offsets, limits.tokens, unknown)


def begins_of(g: Graph, text: Characters, tables: BpeTables) -> Value:
    """:return: int32 [C], 1 where a word begins, else 0; the end is one, and what is behind it another."""
    if isinstance(tables.cuts, Pairs):
        return begin_between(g, text, tables.cuts)
    return words_begin(g, text, tables.cuts.expression, tables.cuts.contractions)


def places_of(g: Graph, symbols: Value, places: Value, tables: BpeTables) -> WordPlaces:
    """:param places: int32 [W + 2], the first byte of each word, the end and what is behind it."""
    codes = symbols + 1
    starts = places.slice(0, -1)
    gaps = places.slice(1, END).sized_as(starts) - starts
    keys = tables.words.keys
    return WordPlaces(codes, codes, pack_codes(g, codes, keys.width, keys.packed), starts, gaps)


def _merge(g: Graph, merger: Merger, tokens: Value, words: Value, count: Value) -> list[Value]:
    """As ``Merger.merge``."""

    def thorough(g: Graph) -> list[Value]:
        return list(merger.merge(g, tokens, words, count))

    def few(g: Graph) -> list[Value]:
        done, merged, of_word = merge_few(g, merger, tokens, words, count)
        return g.if_(done, lambda g: [merged, of_word], thorough)

    if merger.merges.early:
        return thorough(g)
    return g.if_(tokens.size() <= FEW_SYMBOLS, few, thorough)


def _merged(g: Graph, merger: Merger, symbols: Value, words: WordPlaces, unfound: Value, tables: BpeTables) -> Tokens:
    """:param unfound: int64 [M], M > 0, words that were not found whole. :return: their tokens."""
    # One more before each word, for what stands between words.
    bytes_ = characters_of(g, look_up(g, words.starts, unfound) - 1, look_up(g, words.gaps, unfound) + 1)
    own = g.op("Where", bytes_.begins > 0, np.array(AFTER, np.int32), look_up(g, symbols, bytes_.at))
    tokens = look_up(g, g.constant(tables.of_byte, "tokens_of_bytes"), own)
    word = bytes_.word
    if tables.of_character is not None:
        tokens, word = with_characters(g, own, tokens, word, tables.of_character)
    tokens = g.concat([tokens, np.array([tables.merges.no_token], np.int32)])
    count = unfound.size()
    tokens, number = _merge(g, merger, tokens, g.concat([word, count.cast(np.int32)]), count)
    separates = tokens.equals(tables.merges.no_token)
    at = places_where(g, separates)
    # Without what stands between.
    starts = at - places_of_all(g, at)
    tokens, of_token = keep(g, tokens, ~separates), keep(g, number, ~separates)
    counts = g.concat([starts, tokens.size().cast(np.int32)]).slice(1, END).sized_as(starts) - starts
    of_word = look_up(g, number, at)
    counts, starts = (g.op("ScatterElements", zeros_like(of), of_word, of) for of in (counts, starts))
    return Tokens(tokens, of_token, counts, starts)
