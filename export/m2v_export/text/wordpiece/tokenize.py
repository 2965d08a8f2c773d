"""WordPiece with BERT's normalizer and pre-tokenizer, as a graph: the stages in their order.

Small batches of plain texts are tried the quick way first (``quick``), which says whether it served.
"""

import numpy as np

from m2v_export.graphs.arrays import any_of, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.limits import Limits
from m2v_export.text.stages.cut import decode_and_cut
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.truncate import finish
from m2v_export.text.stages.words import WordPlaces, split_words, whole_ids
from m2v_export.text.wordpiece.pieces.match import match_pieces
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.quick import QUICK_BYTES, quick_ids
from m2v_export.text.wordpiece.tables import WordPieceTables
from m2v_export.text.wordpiece.whole import WholeWords


def build_ids(g: Graph, utf8: Value, offsets: Value, tables: WordPieceTables, limits: Limits) -> tuple[Value, Value]:
    """Texts to token ids, as ``StaticModel.tokenize`` of model2vec 0.10 has them.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :return: int64 [T'], int64 [N]: ids, and where each text's begin.
    """
    with g.stage("pieces"):
        pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
    with g.stage("words"):
        whole_words = WholeWords(g, pieces)

    def thorough(g: Graph) -> list[Value]:
        return list(_thorough_ids(g, utf8, offsets, tables, whole_words, pieces, limits))

    if not _can_be_quick(tables, limits):
        ids, offsets = thorough(g)
        return ids, offsets

    with g.scope("quick"):
        most_bytes = QUICK_BYTES if limits.code_points is None else min(QUICK_BYTES, limits.code_points)
        done, ids, starts = quick_ids(
            g, utf8, offsets, tables.normalization, whole_words, pieces, tables.longest_word, most_bytes
        )
    with g.scope("thorough"):
        if limits.tokens is not None:
            done = done & (g.op("Size", ids) <= limits.tokens)
        ids, offsets = g.if_(done, lambda g: [ids.cast(np.int64), starts.cast(np.int64)], thorough)
    return ids, offsets


def _can_be_quick(tables: WordPieceTables, limits: Limits) -> bool:
    """Whether the quick way serves this model: no added tokens are found in codes, and only unknown words may become
    the token that is left out. Marks, whose order it does not see to, are not ASCII."""
    leaves_out = limits.left_out is not None and not tables.means_unknown(limits.left_out)
    return tables.normalization.normalized is None and not leaves_out


def _thorough_ids(
    g: Graph,
    utf8: Value,
    offsets: Value,
    tables: WordPieceTables,
    whole_words: WholeWords,
    pieces: Pieces,
    limits: Limits,
) -> tuple[Value, Value]:
    """As ``build_ids``, for all texts."""
    symbols, offsets = decode_and_cut(g, utf8, offsets, limits.code_points)
    with g.stage("normalize"):
        begins, starts = codes_of(g, symbols, offsets, tables.normalization)
    with g.stage("words"):
        words = split_words(g, begins, tables.alphabet)
        whole, differs = whole_words.find(g, words)
    with g.stage("pieces"):
        unfound = positions(g, differs)
        ids, offsets, unknown = _match_pieces(g, pieces, words, whole, unfound, starts, tables.longest_word)
    with g.stage("truncate"):
        if limits.left_out is None:
            return finish(g, ids, offsets, limits.tokens, None)
        has_unknown = unknown if tables.means_unknown(limits.left_out) else any_of(g, ids.equals(limits.left_out))
        return finish(g, ids, offsets, limits.tokens, (limits.left_out, has_unknown))


def _match_pieces(
    g: Graph, pieces: Pieces, words: WordPlaces, whole: Value, unfound: Value, text_starts: Value, longest_word: int
) -> list[Value]:
    """Words that were not found whole become their pieces.

    :param whole: int32 [W + 1], see ``WholeWords.find``.
    :param unfound: int64 [M], which words were not found; the last is the end.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N], bool []: ids, where each text's begin, and whether a word is unknown.
    """

    def match(g: Graph) -> list[Value]:
        return list(match_pieces(g, pieces, words, whole, unfound, text_starts, longest_word))

    def all_found(g: Graph) -> list[Value]:
        return [*whole_ids(g, pieces.ids(whole), words.nodes, text_starts, pieces.alphabet), some_unfound]

    some_unfound = g.op("Size", unfound) > 1
    return g.if_(some_unfound, match, all_found)
