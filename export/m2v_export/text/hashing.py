"""Exact look-ups by integer keys: a perfect hash, made at export, and the keys compared in the graph.

A multiplication spreads a key's bits. Of the high ones the upper choose a place, the lower a bucket, and the bucket's
displacement is added to the place: that is the slot (hash and displace: Pagh 1999). No two keys of the table share a
slot, so one comparison tells whether a key is in the table: exact, not a matter of probability.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import look_up

DROPPED_BITS = 33
"""Low bits of the 64-bit product that are not used: they depend on too few bits of the key. 31 are left, an int32."""

SEED = 2026
"""Of the multipliers: the same table every time."""

LOAD = 0.9
"""Keys a place: more take long to make, fewer make the file larger."""

MOST_DISPLACED = 1023
"""Slots that a bucket's keys are moved by at most: enough to find free ones where one in ten is free."""

NO_KEY = -1
"""In the slots without a key. Keys are not negative."""


@dataclass(frozen=True, eq=False)
class PerfectHash:
    """:ivar multipliers: int64 [K], odd, one a key part.
    :ivar displacements: int32 [buckets].
    :ivar divisor: of a key's bits to its place.
    :ivar keys: int64 [K, slots], NO_KEY where empty.
    """

    multipliers: npt.NDArray[np.int64]
    displacements: npt.NDArray[np.int32]
    divisor: int
    keys: npt.NDArray[np.int64]

    @property
    def slots(self) -> int:
        return int(self.keys.shape[1])


def build(keys: npt.NDArray[np.int64]) -> tuple[PerfectHash, npt.NDArray[np.int64]]:
    """:param keys: int64 [K, n], not negative, no two columns equal.
    :return: the table, and int64 [n], the slot of each key.
    """
    random = np.random.default_rng(SEED)
    count = keys.shape[1]
    divisor = int(2**HIGH_BITS * LOAD / (count + 8))
    buckets = 1 << (count // KEYS_A_BUCKET).bit_length()
    slots = 2**HIGH_BITS // divisor + 1 + MOST_DISPLACED
    for _ in range(TRIES):
        multipliers = random.integers(1, 2**62, len(keys)) * 2 + 1
        high = _spread(keys, multipliers)
        place, bucket = high // divisor, high & (buckets - 1)
        if len(np.unique(bucket << 32 | place)) == count:
            displacements = _displace(bucket, place, slots, buckets)
            if displacements is not None:
                places = place + displacements[bucket]
                stored = np.full((len(keys), slots), NO_KEY, np.int64)
                stored[:, places] = keys
                return PerfectHash(multipliers, displacements.astype(np.int32), divisor, stored), places
    raise ValueError(f"no perfect hash of {count} keys found in {TRIES} tries")


TRIES = 200
"""Multipliers tried."""

KEYS_A_BUCKET = 3
"""About; fewer are displaced more easily, but need a larger table of displacements."""

HIGH_BITS = 64 - DROPPED_BITS
"""Bits of the product that are used."""


def _spread(keys: npt.NDArray[np.int64], multipliers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """:return: int64 [n]: each key's bits, HIGH_BITS of them."""
    product = (keys.astype(np.uint64) * multipliers.astype(np.uint64)[:, None]).sum(axis=0, dtype=np.uint64)
    high: npt.NDArray[np.int64] = (product >> np.uint64(DROPPED_BITS)).astype(np.int64)
    return high


def _displace(
    bucket: npt.NDArray[np.int64], place: npt.NDArray[np.int64], slots: int, buckets: int
) -> npt.NDArray[np.int64] | None:
    """Find a displacement for each bucket, the fullest first, so that no two keys meet.

    :return: int64 [buckets], or None where a bucket found none.
    """
    displacements = np.zeros(buckets, np.int64)
    free = np.ones(slots, np.bool_)
    order = np.argsort(bucket, kind="stable")
    sizes = np.bincount(bucket, minlength=len(displacements))
    members = np.split(place[order], np.cumsum(sizes)[:-1])
    for b in np.argsort(-sizes, kind="stable").tolist():
        places = members[b]
        if not len(places):
            break
        fits = free[places[0] : places[0] + MOST_DISPLACED + 1].copy()
        for other in places[1:]:
            fits &= free[other : other + MOST_DISPLACED + 1]
        found = int(np.argmax(fits))
        if not fits[found]:
            return None
        displacements[b] = found
        free[places + found] = False
    return displacements


class HashTable:
    """A perfect hash as constants of a graph."""

    def __init__(self, g: Graph, table: PerfectHash, name: str) -> None:
        self.table = table
        self.displacements = g.constant(table.displacements, f"{name}_displacements")
        self.keys = [g.constant(part, f"{name}_keys") for part in table.keys]

    def find(self, g: Graph, *key: Value) -> tuple[Value, Value]:
        """:param key: its parts, each int64 [P], not negative.
        :return: int32 [P], bool [P]: the slot, and whether it holds the key.
        """
        # The products wrap around, as 64-bit integers do in every build of onnxruntime.
        products = [part * int(m) for part, m in zip(key, self.table.multipliers, strict=True)]
        product = products[0]
        for other in products[1:]:
            product = product + other
        high = g.op("BitShift", product.cast(np.uint64), np.array(DROPPED_BITS, np.uint64), direction="RIGHT")
        high = high.cast(np.int32)
        bucket = g.op("BitwiseAnd", high, len(self.table.displacements) - 1)
        slot = high // self.table.divisor + look_up(g, self.displacements, bucket)
        same = [look_up(g, stored, slot).equals(part) for stored, part in zip(self.keys, key, strict=True)]
        found = same[0]
        for other in same[1:]:
            found = found & other
        return slot, found
