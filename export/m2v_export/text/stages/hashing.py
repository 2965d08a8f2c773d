"""A perfect hash in a graph."""

import numpy as np
import numpy.typing as npt

from m2v_export.graphs.arrays import look_up
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.tables.hashing import PerfectHash


class HashTable:
    """A perfect hash as constants of a graph."""

    def __init__(
        self, g: Graph, table: PerfectHash, name: str, hashed: npt.DTypeLike, keys: npt.DTypeLike = np.int64
    ) -> None:
        """:param hashed: the type of what keys are hashed to. :param keys: the type of their parts."""
        self.spread = table.spread
        # Not in 16 bits: one of onnxruntime-web's bundles cannot widen these.
        self.displacements = g.constant(table.displacements.astype(np.int32), f"{name}_displacements")
        # A slot's parts side by side, which one look at the memory finds.
        self.keys = g.constant(table.keys.T.reshape(-1).astype(keys), f"{name}_keys")
        self.parts = len(table.keys)

    def slots(self, g: Graph, hashed: Value) -> Value:
        """:param hashed: [P], what keys are hashed to.
        :return: [P], of the same type: the slots where the keys are, if they are in the table.
        """
        displacements = look_up(g, self.displacements, self.spread.buckets_of(hashed))
        return self.spread.slots_of(hashed, displacements.cast(hashed.dtype))

    def keys_at(self, g: Graph, slots: Value) -> Value:
        """:param slots: [P]. :return: [parts, P]: the keys there, to compare with."""
        places = slots * self.parts + np.arange(self.parts, dtype=slots.dtype)[:, None]
        return look_up(g, self.keys, places.reshape(-1)).reshape(self.parts, -1)
