"""WordPiece with BERT's normalizer and pre-tokenizer, as a graph: the stages in their order."""

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.added import mark_added
from m2v_export.text.alphabet import DROPPED, numbers_of
from m2v_export.text.arrays import look_up, positions
from m2v_export.text.cut import cut
from m2v_export.text.decode import codes_of, without
from m2v_export.text.merge import merge
from m2v_export.text.order import sort_marks
from m2v_export.text.pieces import Pieces, match_pieces
from m2v_export.text.tables import TextTables
from m2v_export.text.truncate import drop, truncate
from m2v_export.text.utf8 import symbols_of
from m2v_export.text.words import WholeWords, WordPlaces, split_words


def tokenize(
    g: Graph,
    utf8: Value,
    offsets: Value,
    tables: TextTables,
    *,
    max_length: int | None,
    median_token_length: int,
    unk_token_id: int | None,
) -> tuple[Value, Value]:
    """Texts to token ids, as ``StaticModel.tokenize`` of model2vec 0.10 has them.

    :param utf8: uint8 [T], the texts' bytes, end to end. :param offsets: int64 [N], where each text starts.
    :param max_length: the most tokens a text, and times ``median_token_length`` the most code points; None for all.
    :param unk_token_id: the token that is left out, after truncation; None for none.
    :return: int64 [T'], int64 [N]: ids, and where each text's begin.
    """
    with g.scope("decode"):
        symbols = symbols_of(g, utf8)
    if max_length is not None:
        with g.scope("cut"):
            symbols, offsets = cut(g, symbols, offsets, max_length * median_token_length)
    with g.scope("normalize"):
        codes, starts = codes_of(g, symbols, offsets, tables.codes)
        if tables.mark_classes is not None:
            codes = sort_marks(g, codes, starts, tables.alphabet, tables.mark_classes)
        codes, starts = _normalized_tokens(g, codes, starts, tables)
    with g.scope("words"):
        words = split_words(g, codes, starts, tables.alphabet)
        ids, found = WholeWords(g, tables.words, tables.alphabet).find(g, words)
    with g.scope("pieces"):
        ids, offsets = _match_missed(g, words, ids, found, tables)
    with g.scope("truncate"):
        if max_length is not None:
            ids, offsets = truncate(g, ids, offsets, max_length)
        if unk_token_id is not None:
            ids, offsets = drop(g, ids, offsets, unk_token_id)
    return ids.cast(np.int64), offsets


def _normalized_tokens(g: Graph, codes: Value, starts: Value, tables: TextTables) -> tuple[Value, Value]:
    """Find the added tokens that are matched in normalized text."""
    if tables.added is None:
        return codes, starts
    codes = mark_added(g, numbers_of(g, codes, tables.alphabet), codes, starts, tables.added, DROPPED)
    return without(g, codes, starts, codes.equals(DROPPED))


def _match_missed(g: Graph, words: WordPlaces, ids: Value, found: Value, tables: TextTables) -> tuple[Value, Value]:
    """Words that were not found whole become their pieces.

    :param ids: int32 [W]. :param found: bool [W].
    :return: int32 [T], int64 [N].
    """
    pieces = Pieces(g, tables.trie, tables.alphabet)
    missed = positions(g, ~found)

    def match(g: Graph) -> list[Value]:
        piece_ids, piece_words, counts = match_pieces(g, pieces, words, missed, tables.unk_id, tables.longest_word)
        merged, before = merge(g, ids, missed, piece_ids, piece_words, counts)
        return [merged, look_up(g, before, words.first_words)]

    ids, offsets = g.if_(missed.size() > 0, match, lambda g: [ids, words.first_words])
    return ids, offsets
