"""Exact look-ups by integer keys: a perfect hash, made at export, and the keys compared in the graph.

A key's remainders by two primes choose a place and a bucket, and the bucket's displacement is added to the place: that
is the slot (hash and displace: Pagh 1999). No two keys of the table share a slot, so one comparison tells whether a key
is in the table: exact, not a matter of probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from m2v_export.graph import Graph, Value
from m2v_export.text.arrays import look_up

LOAD = 0.9
"""Keys a place: more take long to make, fewer make the file larger."""

MOST_DISPLACED = 1023
"""Slots that a bucket's keys are moved by at most: enough to find free ones where one in ten is free."""

NO_KEY = -1
"""In the slots without a key. Keys are not negative."""


@dataclass(frozen=True, eq=False)
class PerfectHash:
    """:ivar places: a prime. :ivar displacements: int64 [buckets], as many as a prime.
    :ivar keys: int64 [K, slots], a part of a key in each row; NO_KEY where empty.
    """

    places: int
    displacements: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]

    @property
    def slots(self) -> int:
        return int(self.keys.shape[1])


def mix(keys: npt.NDArray[np.int64], factors: Sequence[int]) -> npt.NDArray[np.int64]:
    """:param keys: int64 [K, n]. :param factors: an int64 a row. :return: int64 [n]: the sum of the products, which
    wrap around as 64-bit integers do in every build of onnxruntime.
    """
    mixed: npt.NDArray[np.int64] = (keys * np.array(factors, np.int64)[:, None]).sum(axis=0)
    return mixed


def build(keys: npt.NDArray[np.int64], factors: Sequence[int] = (1,)) -> tuple[PerfectHash, npt.NDArray[np.int64]]:
    """:param keys: int64 [K, n], not negative, no two columns equal.
    :param factors: of ``mix``; 1 for keys of one part whose remainders are spread evenly as they are.
    :return: the table, and int64 [n], the slot of each key.
    """
    count = keys.shape[1]
    mixed = mix(keys, factors)
    buckets = _prime(count // KEYS_A_BUCKET + 2)
    places = _prime(int(count / LOAD) + 8)
    for _ in range(TRIES):
        place, bucket = mixed % places, mixed % buckets
        if len(np.unique(bucket * places + place)) == count:
            slots = places + MOST_DISPLACED
            displacements = _displace(bucket, place, slots, buckets)
            if displacements is not None:
                found = place + displacements[bucket]
                stored = np.full((len(keys), slots), NO_KEY, np.int64)
                stored[:, found] = keys
                return PerfectHash(places, displacements, stored), found
        places = _prime(places + 1)
    raise ValueError(f"no perfect hash of {count} keys found in {TRIES} tries")


TRIES = 200
"""Numbers of places tried."""

KEYS_A_BUCKET = 3
"""About; fewer are displaced more easily, but need a larger table of displacements."""


def _prime(least: int) -> int:
    """:return: the first prime from there on."""
    while any(least % i == 0 for i in range(2, int(least**0.5) + 1)):
        least += 1
    return least


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

    def find(self, g: Graph, key: Sequence[Value], mixed: Value) -> tuple[Value, Value]:
        """:param key: its parts, each int64 [P], not negative.
        :param mixed: int64 [P], what ``mix`` makes of the parts.
        :return: int64 [P], bool [P]: the slot, and whether it holds the key.
        """
        displacement = look_up(g, self.displacements, mixed % len(self.table.displacements))
        slot = mixed % self.table.places + displacement
        same = [look_up(g, stored, slot).equals(part) for stored, part in zip(self.keys, key, strict=True)]
        found = same[0]
        for other in same[1:]:
            found = found & other
        return slot, found
