"""Ada-KV's budgets as its authors' code rounds them: each head alone (arXiv:2407.11550)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.adaptive import winners


@dataclass(frozen=True)
class RoundedAdaptive(Allocation):
    """A floor for every head, and its share of the layer's best entries.

    The heads' budgets may miss the layer's by a few entries.
    """

    alpha: float
    """Share of the average guaranteed to every head."""

    def entries_beyond(self, layers: int) -> float:
        """Rounding adds half an entry to a head at most."""
        return 0.5

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """Per layer, the rounded budget of each head."""
        return [self._of_heads(room) for room in rooms]

    def _of_heads(self, room: LayerRoom) -> list[int]:
        won = winners([room], room.per_head * len(room.scores))[0]
        floor = int(room.per_head * self.alpha)
        quotas = [count * (1 - self.alpha) + floor for count in won]
        return [min(round(own), free) for own, free in zip(quotas, room.free(), strict=True)]
