"""Exact look-ups by integer keys: a perfect hash, made at export, and the keys compared in the graph.

What a key is hashed to chooses a place and a bucket, and from the place on the bucket's displacement leads to the slot
(hash and displace: Pagh 1999). No two keys of the table share a slot, so one comparison tells whether a key is in
the table: exact, not a matter of probability.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, repeat
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.builder import Value
from m2v_onnx.errors import ExportError

LOAD = 0.9
"""Keys a place where no slot comes after the last: more take long to make, fewer make the file larger."""

MOST_DISPLACED = 1023
"""Slots that a bucket's keys are moved by at most then: enough to find free ones where one in ten is free."""

MANY_KEYS, LOAD_OF_MANY, MOST_DISPLACED_OF_MANY = 200_000, 0.98, 4095
"""The same of ``HighBits`` for so many keys: among more slots there is a free one where one in fifty is free."""

LOAD_AROUND = 0.995
"""Keys a slot where the first slot comes after the last."""

KEYS_A_BUCKET_AROUND = 6
"""About, then."""

MOST_AROUND = (1 << 16) - 1
"""Slots that a bucket's keys are moved by at most then: as many as are soon looked through."""

KEYS_A_BUCKET = 3
"""About, then; fewer are displaced more easily, but need a larger table of displacements."""

NO_KEY = -1
"""In the slots without a key. Keys are not negative."""

TRIES = 200
"""Ways to hash that are tried."""

LOW_TRIES = 5
"""Of ``Bits`` for int64."""

MORE_PLACES = 200
"""With every try of ``HighBits`` one more in so many places: the more keys, the likelier some of them crowd."""

MORE_SLOTS, MORE_SLOTS_OF_MANY, MORE_BUCKETS = 1000, 100, 20
"""The same for ``Remainders``, of slots and of buckets: where all buckets have some keys, as of numbers that follow
each other, there are none for the last free slots. MANY_KEYS crowd by some hundredths, and a try takes seconds."""

HALF, MIDDLE = 31, 24
"""Of an int64 so many bits, the highest, tell the place; the buckets are told by bits from the other on."""

Integers = npt.NDArray[Any]
Way = TypeVar("Way")


class Spread(Protocol):
    """From what a key is hashed to, to its place and its bucket, and from these to its slot."""

    @property
    def lowest(self) -> int:
        """The lowest place."""
        ...

    @property
    def slots(self) -> int: ...

    @property
    def buckets(self) -> int: ...

    @property
    def displaced(self) -> int:
        """Slots that a bucket's keys are moved by at most."""
        ...

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        """:param hashed: [n]. :return: int64 [n], int64 [n]: places and buckets."""
        ...

    def buckets_of(self, hashed: Value) -> Value:
        """As ``of``, in a graph; of the type of ``hashed``."""
        ...

    def slots_of(self, hashed: Value, displacements: Value) -> Value:
        """In a graph.

        :param hashed: [P]. :param displacements: [P], of the same type. :return: [P], of the same type.
        """
        ...


@dataclass(frozen=True)
class Remainders:
    """For int64: remainders by primes, which spread keys evenly as they are. The first slot comes after the last."""

    slots: int
    buckets: int
    lowest: int = 0

    @classmethod
    def tries(cls, count: int) -> "Iterable[Remainders]":
        buckets, slots = _prime(count // KEYS_A_BUCKET_AROUND + 2), _prime(int(count / LOAD_AROUND) + 8)
        more = MORE_SLOTS if count < MANY_KEYS else MORE_SLOTS_OF_MANY
        for _ in range(TRIES):
            yield cls(slots, buckets)
            slots = _prime(slots + slots // more + 1)
            buckets = max(buckets, _prime(min(buckets + buckets // MORE_BUCKETS + 1, count)))

    @property
    def displaced(self) -> int:
        return min(self.slots - 1, MOST_AROUND)

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        return hashed % self.slots, hashed % self.buckets

    def buckets_of(self, hashed: Value) -> Value:
        return hashed % self.buckets

    def slots_of(self, hashed: Value, displacements: Value) -> Value:
        return (hashed + displacements) % self.slots


@dataclass(frozen=True)
class HighBits:
    """For int64 of any sign that are mixed already: parts of their bits, as shares of the places. Onnxruntime's
    remainders take ten times as long."""

    places: int
    buckets: int
    lowest: int = 0
    displaced: int = MOST_DISPLACED

    @property
    def slots(self) -> int:
        return self.places + self.displaced

    @classmethod
    def tries(cls, count: int) -> "Iterable[HighBits]":
        load, displaced = (LOAD, MOST_DISPLACED) if count < MANY_KEYS else (LOAD_OF_MANY, MOST_DISPLACED_OF_MANY)
        buckets, places = 1 << (count // KEYS_A_BUCKET + 1).bit_length(), int(count / load) + 8
        for _ in range(TRIES):
            yield cls(places, buckets, displaced=displaced)
            places += places // MORE_PLACES + 1

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        bits = hashed.astype(np.int64).view(np.uint64)
        share = (bits >> np.uint64(64 - HALF)).astype(np.int64) * self.places >> HALF
        return share, (bits >> np.uint64(MIDDLE)).astype(np.int64) & (self.buckets - 1)

    def buckets_of(self, hashed: Value) -> Value:
        return hashed.graph.op("BitwiseAnd", _shifted(hashed, MIDDLE), self.buckets - 1)

    def slots_of(self, hashed: Value, displacements: Value) -> Value:
        return _shifted(_shifted(hashed, 64 - HALF) * self.places, HALF) + displacements


def _shifted(values: Value, by: int) -> Value:
    """To the right. Only numbers without a sign are shifted; and onnxruntime 1.18 does not multiply those.

    :param values: int64 [P]. :return: int64 [P].
    """
    return values.graph.op("BitShift", values.cast(np.uint64), by, direction="RIGHT").cast(np.int64)


@dataclass(frozen=True)
class Bits:
    """For integers of any sign that are mixed already: a quotient, and the lowest bits. onnxruntime's remainders take
    ten times as long.

    :ivar bits: of an integer, 32 or 64.
    """

    divisor: int
    buckets: int
    displaced: int = MOST_DISPLACED
    bits: int = 32

    @property
    def lowest(self) -> int:
        return -((1 << self.bits - 1) // self.divisor)

    @property
    def slots(self) -> int:
        return 1 - 2 * self.lowest + self.displaced

    @classmethod
    def for_keys(cls, count: int, bits: int = 32) -> "Bits":
        buckets = 1 << (count // KEYS_A_BUCKET + 1).bit_length()
        return cls((1 << bits) // (int(count / LOAD) + 8), buckets, bits=bits)

    def of(self, hashed: Integers) -> tuple[Integers, Integers]:
        # As ONNX divides: towards zero.
        wide = hashed.astype(np.int64)
        return np.sign(wide) * (np.abs(wide) // self.divisor), wide & (self.buckets - 1)

    def buckets_of(self, hashed: Value) -> Value:
        return hashed.graph.op("BitwiseAnd", hashed, self.buckets - 1)

    def slots_of(self, hashed: Value, displacements: Value) -> Value:
        return hashed // self.divisor + displacements


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
    if len(np.unique(bucket * spread.slots + place)) < len(place):
        return None
    displacements = _displace(bucket, place - spread.lowest, spread)
    if displacements is None:
        return None
    displacements -= spread.lowest  # No slot is negative.
    found = (place + displacements[bucket]) % spread.slots
    stored = np.full((len(keys), spread.slots), NO_KEY, np.int64)
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

    :param keys: int64 [n]; their lowest bits tell buckets, so they should differ in these.
    :return: the number, the table and int64 [n], the slot of each key.
    """
    rng = np.random.default_rng(0)
    factors = (int(rng.integers(2**62)) * 2 + 1 for _ in count())
    # Fewer operations in a graph; where keys are too much alike in their lowest bits, the others.
    spreads: Iterator[Spread] = chain(repeat(Bits.for_keys(len(keys), 64), LOW_TRIES), HighBits.tries(len(keys)))
    tries = ((factor, keys * np.int64(factor), spread) for factor, spread in zip(factors, spreads, strict=False))
    return first_built(keys[None], tries)


def _prime(least: int) -> int:
    """:return: the first prime from there on."""
    while any(least % i == 0 for i in range(2, int(least**0.5) + 1)):
        least += 1
    return least


def _displace(
    bucket: npt.NDArray[np.int64], place: npt.NDArray[np.int64], spread: Spread
) -> npt.NDArray[np.int64] | None:
    """Find a displacement for each bucket, the fullest first, so that no two keys meet.

    :return: int64 [buckets], or None where a bucket found none.
    """
    slots, ways = spread.slots, spread.displaced + 1
    displacements = np.zeros(spread.buckets, np.int64)
    free = np.ones(2 * slots, np.bool_)  # Twice, for what goes around.
    order = np.argsort(bucket, kind="stable")
    sizes = np.bincount(bucket, minlength=spread.buckets)
    members = np.split(place[order], np.cumsum(sizes)[:-1])
    for b in np.argsort(-sizes, kind="stable").tolist():
        places = members[b]
        if not len(places):
            break
        # Most find theirs among the first.
        for some in (min(ways, FIRST_WAYS), ways):
            fits = free[places[0] : places[0] + some].copy()
            for other in places[1:]:
                fits &= free[other : other + some]
            found = int(np.argmax(fits))
            if fits[found]:
                break
        else:
            return None
        displacements[b] = found
        taken = (places + found) % slots
        free[taken] = free[taken + slots] = False
    return displacements


FIRST_WAYS = 1024
"""Displacements that are looked at before all others."""
