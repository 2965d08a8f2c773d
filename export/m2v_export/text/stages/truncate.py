"""The end of the tokenizer: tokens in one row, at most so many a text, without the unknown one."""

import numpy as np

from m2v_export.graphs.arrays import counted, firsts_of_runs, if_longer, keep, lengths_of, look_up
from m2v_export.graphs.builder import Graph, Value


def finish(
    g: Graph, ids: Value, offsets: Value, max_length: int | None, unknown: tuple[int, Value] | None
) -> tuple[Value, Value]:
    """Truncate, then leave the unknown token out; most batches need neither.

    :param ids: int32 [T]. :param offsets: int32 [N]. :param max_length: None for all tokens.
    :param unknown: the token, and bool [] or [1], whether some are this one; None where there is none to leave out.
    :return: int64 [U], int64 [N].
    """
    offsets = offsets.cast(np.int64)
    if max_length is not None:
        ids, offsets = truncate(g, ids, offsets, max_length)
    if unknown is not None:
        token_id, has_unknown = unknown
        ids, offsets = g.if_(has_unknown, lambda g: list(drop(g, ids, offsets, token_id)), lambda g: [ids, offsets])
    return ids.cast(np.int64), offsets


def truncate(g: Graph, ids: Value, offsets: Value, max_length: int) -> tuple[Value, Value]:
    """Keep the first tokens of each text.

    :param ids: int32 [T]. :param offsets: int64 [N].
    :return: int32 [U], int64 [N].
    """

    def shorten(g: Graph) -> list[Value]:
        lengths = lengths_of(g, offsets, ids.size())
        padded = g.concat([ids, np.array([0], np.int32)])
        kept, starts = firsts_of_runs(g, padded, offsets, lengths, g.op("Min", lengths, np.array([max_length])))
        return [kept.slice(0, -1), starts]

    ids, offsets = if_longer(g, offsets, ids.size(), max_length, shorten, lambda g: [ids, offsets])
    return ids, offsets


def drop(g: Graph, ids: Value, offsets: Value, token_id: int) -> tuple[Value, Value]:
    """Leave a token out.

    :param ids: int32 [T]. :param offsets: int64 [N].
    :return: int32 [U], int64 [N].
    """
    kept = ~ids.equals(token_id)
    # One more, for texts that begin where the ids end.
    before = counted(g, g.concat([kept.cast(np.int32), np.array([0], np.int32)]))
    return keep(g, ids, kept), look_up(g, before, offsets).cast(np.int64)
