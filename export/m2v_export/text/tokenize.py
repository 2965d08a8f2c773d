"""WordPiece with BERT's normalizer and pre-tokenizer, as a graph: the stages in their order."""

import numpy as np

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import any_of, counted, look_up
from m2v_export.text.cut import cut
from m2v_export.text.decode import codes_of
from m2v_export.text.pieces import Pieces, match_missed
from m2v_export.text.tables import TextTables
from m2v_export.text.truncate import finish
from m2v_export.text.utf8 import decode
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
    if max_length is None:
        symbols = decode(g, utf8)
    else:
        with g.stage("cut"):
            symbols, offsets = cut(g, utf8, offsets, max_length * median_token_length)
    with g.stage("normalize"):
        begins, starts = codes_of(g, symbols, offsets, tables.normalization)
    with g.stage("words"):
        words = split_words(g, begins, tables.alphabet)
        ids, missed = WholeWords(g, tables.words).find(g, words)
    with g.stage("pieces"):
        ids, offsets, unknown = _match_missed(g, words, ids, missed, starts, tables)
    with g.stage("truncate"):
        if unk_token_id is None:
            return finish(g, ids, offsets, max_length, None)
        if unk_token_id == tables.unk_id and not tables.unk_is_piece:
            has_unknown = unknown
        else:
            has_unknown = any_of(g, ids.equals(unk_token_id))
        return finish(g, ids, offsets, max_length, (unk_token_id, has_unknown))


def _match_missed(
    g: Graph, words: WordPlaces, ids: Value, missed: Value, text_starts: Value, tables: TextTables
) -> list[Value]:
    """Words that were not found whole become their pieces.

    :param ids: int32 [W + 1]. :param missed: int64 [M], which words were not found; the last is the end.
    :param text_starts: int32 [N], where each text begins in the codes.
    :return: int32 [T], int32 [N], bool [1]: ids, where each text's begin, and whether a word is unknown.
    """
    pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)

    def match(g: Graph) -> list[Value]:
        return match_missed(g, pieces, words, ids, missed, text_starts, tables.longest_word)

    def all_found(g: Graph) -> list[Value]:
        before = counted(g, words.begins.cast(np.int32))
        return [ids.slice(0, -1), look_up(g, before, text_starts), some_missed]

    some_missed = missed.size() > 1
    return g.if_(some_missed, match, all_found)
