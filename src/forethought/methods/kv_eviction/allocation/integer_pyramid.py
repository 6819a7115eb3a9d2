"""PyramidKV's budgets as its authors' code rounds them (arXiv:2406.02069)."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform


@dataclass(frozen=True)
class IntegerPyramid(Uniform):
    """Budgets that fall from layer to layer by a step rounded down.

    The first layer's budget does not depend on the step, so the sum may exceed that of equal
    budgets. Texts shorter than twice the budget have equal ones.
    """

    beta: int

    def entries_beyond(self, layers: int) -> float:
        """Half of what the steps lose by rounding, at most one entry each."""
        return (layers - 1) / 2

    def layer_budget(self, room: LayerRoom) -> int:
        """Entries that each head of a layer keeps."""
        mean = room.per_head
        if room.layers == 1 or room.capacity + room.fixed < 2 * mean:
            return mean
        high = min(2 * mean - mean // self.beta, room.capacity)
        low = 2 * mean - high
        return high - room.layer * ((high - low) // (room.layers - 1))
