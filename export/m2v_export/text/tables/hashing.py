"""Exact look-ups by integer keys: a perfect hash, made at export, and the keys compared in the graph.

What a key is hashed to chooses a place and a bucket, and the bucket's displacement is added to the place: that is the
slot (hash and displace: Pagh 1999). No two keys of the table share a slot, so one comparison tells whether a key is in
the table: exact, not a matter of probability.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.builder import Value
from m2v_onnx.errors import ExportError

LOAD = 0.9
"""Keys a place: more take long to make, fewer make the file larger."""

MOST_DISPLACED = 1023
"""Slots that a bucket's keys are moved by at most: enough to find free ones where one in ten is free."""

KEYS_A_BUCKET = 3
"""About; fewer are displaced more easily, but need a larger table of displacements."""

NO_KEY = -1
"""In the slots without a key. Keys are not negative."""

TRIES = 200
"""Ways to hash that are tried."""

MORE_PLACES = 200
"""With every try one more in so many places: the more keys, the likelier some of them crowd."""

HALF, MIDDLE = 31, 24
"""Of an int64 so many bits, the highest, tell the place; the buckets are told by bits from the other on."""

Integers = npt.NDArray[Any]
Way = TypeVar("Way")


class Spread(Protocol):
    """From what a key is hashed to, to its place and its bucket."""

    @property
    def lowest(self) -> int:
        """The lowest place."""
        ...

    @property
    def places(self) -> int: ...

    @property
    def buckets(self) -> int: ...

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        """:param hashed: [n]. :return: int64 [n], int64 [n]."""
        ...

    def on(self, hashed: Value) -> tuple[Value, Value]:
        """As ``of``, in a graph; of the type of ``hashed``."""
        ...


@dataclass(frozen=True)
class Remainders:
    """For int64: remainders by two primes, which spread keys evenly as they are."""

    places: int
    buckets: int
    lowest: int = 0

    @classmethod
    def tries(cls, count: int) -> "Iterable[Remainders]":
        buckets, places = _prime(count // KEYS_A_BUCKET + 2), _prime(int(count / LOAD) + 8)
        for _ in range(TRIES):
            yield cls(places, buckets)
            places = _prime(places + places // MORE_PLACES + 1)

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        return hashed % self.places, hashed % self.buckets

    def on(self, hashed: Value) -> tuple[Value, Value]:
        return hashed % self.places, hashed % self.buckets


@dataclass(frozen=True)
class HighBits:
    """For int64 of any sign that are mixed already: parts of their bits, as shares of the places. Onnxruntime's
    remainders take ten times as long."""

    places: int
    buckets: int
    lowest: int = 0

    @classmethod
    def tries(cls, count: int) -> "Iterable[HighBits]":
        buckets, places = 1 << (count // KEYS_A_BUCKET + 1).bit_length(), int(count / LOAD) + 8
        for _ in range(TRIES):
            yield cls(places, buckets)
            places += places // MORE_PLACES + 1

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        bits = hashed.astype(np.int64).view(np.uint64)
        share = (bits >> np.uint64(64 - HALF)).astype(np.int64) * self.places >> HALF
        return share, (bits >> np.uint64(MIDDLE)).astype(np.int64) & (self.buckets - 1)

    def on(self, hashed: Value) -> tuple[Value, Value]:
        g, bits = hashed.graph, hashed.cast(np.uint64)

        def shifted(values: Value, by: int) -> Value:
            # For numbers without a sign alone; and onnxruntime 1.18 does not multiply those.
            return g.op("BitShift", values.cast(np.uint64), by, direction="RIGHT").cast(np.int64)

        share = shifted(shifted(bits, 64 - HALF) * self.places, HALF)
        return share, g.op("BitwiseAnd", shifted(bits, MIDDLE), self.buckets - 1)


@dataclass(frozen=True)
class Bits:
    """For int32 of any sign that are mixed already: a quotient, and the lowest bits. onnxruntime's remainders take ten
    times as long."""

    divisor: int
    buckets: int

    @property
    def lowest(self) -> int:
        return -(2**31 // self.divisor)

    @property
    def places(self) -> int:
        return 1 - 2 * self.lowest

    @classmethod
    def for_keys(cls, count: int) -> "Bits":
        return cls(2**32 // (int(count / LOAD) + 8), 1 << (count // KEYS_A_BUCKET + 1).bit_length())

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        # As ONNX divides: towards zero.
        wide = hashed.astype(np.int64)
        return np.sign(wide) * (np.abs(wide) // self.divisor), wide & (self.buckets - 1)

    def on(self, hashed: Value) -> tuple[Value, Value]:
        return hashed // self.divisor, hashed.graph.op("BitwiseAnd", hashed, self.buckets - 1)


@dataclass(frozen=True, eq=False)
class PerfectHash:
    """:ivar displacements: int64 [buckets]. :ivar keys: int64 [K, slots], a part of a key in each row; NO_KEY where
    empty.
    """

    spread: Spread
    displacements: npt.NDArray[np.int64]
    keys: npt.NDArray[np.int64]

    @property
    def slots(self) -> int:
        return int(self.keys.shape[1])


def build(keys: Integers, hashed: Integers, spread: Spread) -> tuple[PerfectHash, npt.NDArray[np.int64]] | None:
    """:param keys: int64 [K, n], not negative, no two columns equal. :param hashed: [n], what each is hashed to.
    :return: the table, and int64 [n], the slot of each key; None where there is none, for this way to hash.
    """
    place, bucket = spread.of(hashed)
    slots = spread.places + MOST_DISPLACED
    if len(np.unique(bucket * slots + place)) < len(place):
        return None
    displacements = _displace(bucket, place - spread.lowest, slots, spread.buckets)
    if displacements is None:
        return None
    displacements -= spread.lowest  # No slot is negative.
    found = place + displacements[bucket]
    stored = np.full((len(keys), slots), NO_KEY, np.int64)
    stored[:, found] = keys
    return PerfectHash(spread, displacements, stored), found


def first_built(
    keys: Integers, tries: Iterable[tuple[Way, Integers, Spread]]
) -> tuple[Way, PerfectHash, npt.NDArray[np.int64]]:
    """As ``build``, by the first way to hash that serves.

    :param tries: ways: whatever tells them apart, what each key is hashed to, and its spread.
    :raises ExportError: when none does.
    """
    for way, hashed, spread in tries:
        found = build(keys, hashed, spread)
        if found is not None:
            return way, *found
    raise ExportError(
        f"no perfect hash of {keys.shape[1]} keys found in {TRIES} tries. That is a fault of m2v-onnx: please report it"
        " with the model's name"
    )


def build_by_remainders(keys: Integers, hashed: Integers) -> tuple[PerfectHash, npt.NDArray[np.int64]]:
    """As ``first_built``, for keys of one part. :param keys: int64 [n]."""
    tries = ((None, hashed, spread) for spread in Remainders.tries(len(keys)))
    return first_built(keys[None], tries)[1:]


def build_by_products(keys: Integers) -> tuple[int, PerfectHash, npt.NDArray[np.int64]]:
    """As ``first_built``, for keys that are much alike: their products with a number, which wrap around, are not.

    :param keys: int64 [n]. :return: the number, the table and int64 [n], the slot of each key.
    """
    rng = np.random.default_rng(0)
    factors = (int(rng.integers(2**62)) * 2 + 1 for _ in count())
    spreads = HighBits.tries(len(keys))
    tries = ((factor, keys * np.int64(factor), spread) for factor, spread in zip(factors, spreads, strict=False))
    return first_built(keys[None], tries)


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
