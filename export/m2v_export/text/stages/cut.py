"""Keep the first code points of each text: what model2vec does before it tokenizes."""

import numpy as np

from m2v_export.graphs.arrays import counted, firsts_of_runs, if_longer, lengths_of, look_up, positions
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.repair import continues
from m2v_export.text.tables.utf8 import PADDED


def decode_and_cut(g: Graph, utf8: Value, starts: Value, code_points: int | None) -> tuple[Value, Value]:
    """As ``cut``; None for all code points."""
    if code_points is None:
        return decode(g, utf8), starts
    with g.stage("cut"):
        return cut(g, utf8, starts, code_points)


def cut(g: Graph, utf8: Value, starts: Value, code_points: int) -> tuple[Value, Value]:
    """Cut each text to its first code points; most batches have no text that is so long, and are only decoded.

    :param utf8: uint8 [T]. :param starts: int64 [N], the first byte of each text.
    :return: int32 [U + PADDED], int64 [N].
    """
    symbols, starts = if_longer(
        g,
        starts,
        utf8.size(),
        code_points,
        lambda g: list(cut_each(g, decode(g, utf8), starts, code_points)),
        lambda g: [decode(g, utf8), starts],
    )
    return symbols, starts


def cut_each(g: Graph, symbols: Value, starts: Value, code_points: int) -> tuple[Value, Value]:
    """As ``cut``, by counting. A code point is counted where it begins.

    :param symbols: int32 [T + PADDED].
    """
    end = symbols.size() - PADDED
    begins = 1 - continues(g, symbols, starts)
    # What is behind the last text begins anew with each symbol, so a place past the last one is never asked for.
    places = positions(g, begins)
    before = look_up(g, counted(g, begins), starts).cast(np.int64)
    behind = look_up(g, places, g.op("Min", before + code_points, places.size() - 1))
    lengths = lengths_of(g, starts, end)
    return firsts_of_runs(g, symbols, starts, lengths, g.op("Min", lengths, behind - starts))
