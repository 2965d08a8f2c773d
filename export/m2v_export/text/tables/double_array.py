"""A trie as a double array: one look-up tells where a symbol leads, another whether it really does (Aoe 1989).

A node is a number, its place in the arrays. A symbol leads from it to ``bases[node] + symbol``, if ``checks`` has the
node there. So a step is exact, and costs no key of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_onnx.errors import ExportError

DEAD, ROOT = 0, 1
"""The first two nodes: where no symbol leads, and the empty piece."""

SPARE = (16, 8, 4, 2, 1)
"""One place in so many stays free, so that nodes of several symbols find theirs; where some do not, more stay free."""

MANY_SYMBOLS = 6
"""Nodes of so many symbols are placed one by one, before all others."""

TRIES = 1000
"""Draws of a place, for nodes that are placed one by one, and for all others together."""

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class DoubleArray:
    """:ivar bases: int32 [places]. :ivar checks: int32 [places + symbols], the node that leads there; NOBODY for none.
    :ivar nodes: int64 [pieces], where each piece ends.
    """

    bases: Ints
    checks: Ints
    nodes: npt.NDArray[np.int64]


NOBODY = -1
"""In ``checks``, where no node leads."""


@dataclass(frozen=True, eq=False)
class _Edges:
    """Steps of a trie, ordered by their first nodes; the root is node 0.

    :ivar parents: int64 [E]. :ivar symbols: int64 [E]. :ivar children: int64 [E]. :ivar ends: int64 [pieces].
    """

    parents: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.int64]
    children: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def build_double_array(pieces: Sequence[Sequence[int]], symbols: int) -> DoubleArray:
    """:param pieces: different ones, of symbols from 1 on. :param symbols: they are less.

    :raises ExportError: when some nodes found no places.
    """
    edges = _edges(pieces, symbols)
    nodes = len(edges.children) + 1
    sizes = (nodes + nodes // spare + symbols + 2 for spare in SPARE)
    found = next((found for size in sizes if (found := _places(edges, nodes, size)) is not None), None)
    if found is None:
        raise ExportError(_NO_PLACES)
    bases, places = found
    size = int(max(places.max(), ROOT)) + 1
    # Of a symbol that leads nowhere: any base, where it looks, is less than the size.
    checks = np.full(size + symbols, NOBODY, np.int32)
    checks[places[edges.children]] = places[edges.parents]
    stored = np.zeros(size, np.int32)
    stored[places] = bases
    return DoubleArray(stored, checks, places[edges.ends])


def _edges(pieces: Sequence[Sequence[int]], symbols: int) -> _Edges:
    """One level after the other, all pieces at once."""
    lengths = np.array([len(piece) for piece in pieces], np.int64)
    flat = np.array([symbol for piece in pieces for symbol in piece], np.int64)
    starts = np.cumsum(lengths) - lengths
    ends = np.zeros(len(pieces), np.int64)
    found: list[tuple[npt.NDArray[np.int64], ...]] = []
    count = 1
    for depth in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths > depth)
        keys = ends[going] * symbols + flat[starts[going] + depth]
        unique, number = np.unique(keys, return_inverse=True)
        ends[going] = count + number
        found.append((unique // symbols, unique % symbols, count + np.arange(len(unique))))
        count += len(unique)
    parents, symbols_, children = (np.concatenate(part) for part in zip(*found, strict=True))
    return _Edges(parents, symbols_, children, ends)


def _places(edges: _Edges, nodes: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """:return: int64 [nodes], int64 [nodes]: each node's base, 0 where no symbol leads on, and its place; None where
    some nodes found no places.
    """
    rng = np.random.default_rng(0)
    free = np.ones(size, np.bool_)
    free[[DEAD, ROOT]] = False
    bases, places = np.zeros(nodes, np.int64), np.full(nodes, ROOT, np.int64)
    # Edges of a node are side by side: each level's are sorted, and levels have different nodes.
    firsts = np.flatnonzero(np.diff(edges.parents, prepend=-1))
    counts = np.diff(firsts, append=len(edges.parents))

    def put(firsts: npt.NDArray[np.int64], count: int, base: npt.NDArray[np.int64]) -> None:
        edge = firsts[:, None] + np.arange(count)
        taken = base[:, None] + edges.symbols[edge]
        free[taken] = False
        bases[edges.parents[firsts]] = base
        places[edges.children[edge]] = taken

    for first in firsts[np.argsort(-counts, kind="stable")]:
        count = counts[np.searchsorted(firsts, first)]
        if count < MANY_SYMBOLS:
            break
        symbols = edges.symbols[first : first + count]
        lowest, highest = max(1, 2 - int(symbols[0])), size - int(symbols[-1])
        draws = (rng.integers(lowest, highest, TRIES) for _ in range(TRIES))
        base = next((d for draw in draws for d in draw.tolist() if free[d + symbols].all()), None)
        if base is None:
            return None
        put(np.array([first]), int(count), np.array([base]))
    for count in range(min(MANY_SYMBOLS, int(counts.max(initial=1) + 1)) - 1, 1, -1):
        left = firsts[counts == count]
        for _ in range(TRIES):
            if not len(left):
                break
            symbols = edges.symbols[left[:, None] + np.arange(count)]
            base = rng.integers(1, size - symbols[:, -1])
            taken = base[:, None] + symbols
            fits = free[taken].all(axis=1)
            # Of those that want one place the first has it.
            wanted = taken[fits].reshape(-1)
            is_first = np.zeros(len(wanted), np.bool_)
            is_first[np.unique(wanted, return_index=True)[1]] = True
            fits[fits] = is_first.reshape(-1, count).all(axis=1)
            put(left[fits], count, base[fits])
            left = left[~fits]
        if len(left):
            return None
    # Nodes of one symbol fill what is left.
    alone = firsts[counts == 1]
    symbols = edges.symbols[alone]
    left_over = np.flatnonzero(free)
    left_over = left_over[left_over > int(symbols.max(initial=0))][: len(alone)]
    if len(left_over) < len(alone):
        return None
    put(alone, 1, left_over - symbols)
    return bases, places


_NO_PLACES = (
    "the vocabulary's pieces found no places in a double array. That is a fault of m2v-onnx: please report it with the"
    " model's name"
)
