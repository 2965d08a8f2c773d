"""Words that can be cut in two ways of equal sums, but for how what came before them has been rounded.

Where the pre-tokenizer does not split, sums go on from word to word. They change nothing but the rounding: so it is
enough to look at them for the words where another way is nearly as good as the best. These are few. A round settles the
first of each text, whose sum before is known by then.
"""

from dataclasses import dataclass, replace

import numpy as np

from m2v_export.graphs.arrays import END, keep, later, look_up, numbered, positions, previous, zeros_like
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.tokens import merge_words
from m2v_export.text.unigram.best import are_near, best_ways
from m2v_export.text.unigram.search import Search
from m2v_export.text.unigram.words import CutWords


@dataclass(frozen=True, eq=False)
class Sections:
    """What is normalized as a whole: texts, and what is before and behind an added token.

    :ivar numbers: int32 [W + 1], the section of each word. :ivar firsts: int64 [sections], the first word of each.
    """

    numbers: Value
    firsts: Value


def find_sections(g: Graph, first_words: Value, is_added: Value) -> Sections:
    """:param first_words: int32 [N], of each text. :param is_added: int32 [W + 1], 1 for added tokens."""
    begins = g.op(
        "ScatterElements", g.op("Max", is_added, later(g, is_added, -1)), first_words, zeros_like(first_words) + 1
    )
    return Sections(g.op("CumSum", begins, np.array(0)).of_rank(1) - 1, positions(g, begins))


def settle(
    g: Graph, search: Search, words: CutWords, sums: Value, values: Value, unfound: Value, sections: Sections
) -> tuple[CutWords, Value]:
    """Choose anew where it may matter what came before.

    :param sums: float64 [P], of the best way to each symbol.
    :param values: int32 [W + 1], of the words that were found. :param unfound: int64 [M], the others.
    :return: the words, and int32 [P], see ``CutWords.ends``.
    """
    symbols, sizes = words.symbols, words.sizes
    ends = words.ends(g)
    waiting = are_near(g, words.found.scores, sums, symbols, sizes, ends)

    def one_round(g: Graph, _: Value, columns: Value, waiting: Value) -> tuple[Value, list[Value], list[Value]]:
        now = replace(words, columns=columns)
        merged, begins = merge_words(g, values, unfound, now.tokens(g, now.ends(g)))
        which = positions(g, waiting)
        section = look_up(g, sections.numbers, look_up(g, unfound, which))
        is_first = ~previous(g, section, -1).equals(section)
        which, section = keep(g, which, is_first), keep(g, section, is_first)
        first = look_up(g, begins, look_up(g, sections.firsts, section))
        before = _sums(g, search.scores(g, merged), first, look_up(g, begins, look_up(g, unfound, which)))
        starts, of = look_up(g, symbols.firsts, which), look_up(g, sizes, which)
        own = characters_of(g, starts, of)
        best = best_ways(g, words.found.scores, own, starts, of, before)
        columns = g.op("ScatterElements", columns, own.at, best.columns)
        waiting = g.op("ScatterElements", waiting, which, zeros_like(of))
        return g.op("ReduceMax", waiting, keepdims=0) > 0, [columns, waiting], []

    def rounds(g: Graph) -> list[Value]:
        settled = replace(words, columns=g.loop([words.columns, waiting], one_round)[0])
        return [settled.columns, settled.ends(g)]

    some = g.op("ReduceMax", waiting, keepdims=0) > 0
    columns, ends = g.if_(some, rounds, lambda g: [words.columns, ends])
    return replace(words, columns=columns), ends


def _sums(g: Graph, scores: Value, first: Value, end: Value) -> Value:
    """Sums of runs, each added up from the left.

    :param scores: float64 [T]. :param first: int32 [K]. :param end: int32 [K]. :return: float64 [K].
    """
    lengths = end - first
    longest = g.op("ReduceMax", lengths, keepdims=1) + 1
    column = numbered(g, longest.cast(np.int64)).cast(np.int32)
    within = column < lengths.unsqueeze(1)
    places = g.op("Where", within, first.unsqueeze(1) + column, np.array(0, np.int32))
    grid = g.op("Where", within, look_up(g, scores, places), np.array(0.0))
    return g.op("CumSum", grid, np.array(1)).slice(-1, END, axis=1).squeeze(1)
