"""The same for every layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom


@dataclass(frozen=True)
class Uniform(Allocation):
    """Every head keeps as many."""

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """The average for every head."""
        return [[min(self.of_layer(room), free) for free in room.free()] for room in rooms]

    def of_layer(self, room: LayerRoom) -> int:
        """What each head of a layer keeps."""
        return room.each
