"""More entries in the first layers, fewer in the last (PyramidKV, arXiv:2406.02069)."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.apportionment import falling_budgets


@dataclass(frozen=True)
class Pyramid(Uniform):
    """Budgets that fall linearly over the layers, with an exact sum."""

    beta: int

    def layer_budget(self, room: LayerRoom) -> int:
        """Entries that each head of a layer keeps."""
        return falling_budgets(room.layers, room.per_head, self.beta, room.capacity)[room.layer]
