"""One budget for which the heads of all layers compete (KVzip, arXiv:2505.23416)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.adaptive import winners


@dataclass(frozen=True)
class GlobalAllocation(Allocation):
    """The best entries of the whole cache, in any layer and head."""

    spans_layers: ClassVar[bool] = True

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """The number of the best entries in each head."""
        return winners(rooms, sum(room.per_head * len(room.scores) for room in rooms))
