"""A pyramid over the layers, within which the heads of each layer compete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.pyramid import Pyramid


@dataclass(frozen=True)
class AdaptivePyramid(Allocation):
    """PyramidKV's budgets for layers, Ada-KV's for heads."""

    alpha: float
    beta: int

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """Per layer, the number of droppable entries each head keeps."""
        return AdaptiveAllocation(self.alpha, Pyramid(self.beta)).counts(rooms)
