"""The words that are not found whole: their symbols, and the pieces that they are cut into."""

from dataclasses import dataclass

import numpy as np

from m2v_export.graphs.arrays import look_up, places_of_all, previous
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import WordCharacters, characters_of
from m2v_export.text.stages.tokens import Tokens
from m2v_export.text.stages.words import WordPlaces, is_part
from m2v_export.text.unigram.best import ends_of
from m2v_export.text.unigram.blanks import blanks_of
from m2v_export.text.unigram.few import best_of_any
from m2v_export.text.unigram.merge import tokens_of, without
from m2v_export.text.unigram.search import Found, Search
from m2v_export.text.unigram.tables import UnigramTables


@dataclass(frozen=True, eq=False)
class CutWords:
    """Some words, each with the blank before it, and the best ways to cut them.

    :ivar symbols: where the symbols are, P in all. :ivar sizes: int32 [M], how many each word has.
    :ivar found: all pieces. :ivar columns: int64 [P], the last piece of the best way to each symbol.
    :ivar most: int32 [M], how many tokens of each word count; None for all.
    """

    symbols: WordCharacters
    sizes: Value
    found: Found
    columns: Value
    most: Value | None

    def ends(self, g: Graph) -> Value:
        """:return: int32 [P], 1 where a piece of a word's best way ends."""
        lengths = (self.found.scores.size(1) - self.columns).cast(np.int32)
        return ends_of(g, lengths, self.symbols, self.sizes)

    def tokens(self, g: Graph, ends: Value) -> Tokens:
        """:param ends: see there."""
        at = self.columns * self.columns.size() + self.symbols.here.cast(np.int64)
        tokens = tokens_of(g, look_up(g, self.found.values.reshape(-1), at), ends, self.symbols, self.sizes)
        if self.most is None:
            return tokens
        number = places_of_all(g, tokens.values) - look_up(g, tokens.before, tokens.words)
        return without(g, tokens, (number >= look_up(g, self.most, tokens.words)).cast(np.int32))


def cut_words(
    g: Graph, search: Search, words: WordPlaces, unfound: Value, first_words: Value, tables: UnigramTables
) -> tuple[CutWords, Value]:
    """:param unfound: int64 [M], M > 0, which words. :param first_words: int32 [N], of each text.
    :return: the words, as if nothing was before them, and float64 [P], the sum of the best way to each symbol.
    """
    starts, gaps = look_up(g, words.starts, unfound), look_up(g, words.gaps, unfound)
    places = characters_of(g, starts, gaps)
    # What separates a word from the next is behind it, and is no symbol.
    parts = is_part(g, look_up(g, words.nodes, places.at), tables.alphabet).cast(np.int32)
    up_to = look_up(g, g.op("CumSum", parts, np.array(0)).of_rank(1), places.firsts + gaps - 1)
    sizes = up_to - previous(g, up_to) + 1
    own = characters_of(g, starts - 1, sizes)
    symbols = look_up(g, g.constant(tables.symbols, "symbols"), look_up(g, words.nodes, own.at))
    symbols = g.op("Where", own.begins > 0, np.array(tables.blank, np.int32), symbols)
    with g.stage("search"):
        found = search.find(g, symbols)
    with g.stage("best"):
        best = best_of_any(g, found.scores, own, sizes)
    most = None if tables.literal is None else blanks_of(g, words, unfound, first_words, tables.literal)
    return CutWords(own, sizes, found, best.columns, most), best.sums
