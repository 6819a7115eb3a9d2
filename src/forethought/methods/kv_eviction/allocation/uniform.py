"""The same budget for every layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom


@dataclass(frozen=True)
class Uniform(Allocation):
    """Every head keeps the average."""

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """The layer's budget for every head, or all its entries if they are fewer."""
        return [[min(self.layer_budget(room), free) for free in room.free()] for room in rooms]

    def layer_budget(self, room: LayerRoom) -> int:
        """Entries that each head of a layer keeps."""
        return room.per_head
