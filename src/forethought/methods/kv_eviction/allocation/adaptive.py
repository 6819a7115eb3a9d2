"""The heads of a layer compete for its budget, above a floor (Ada-KV, arXiv:2407.11550)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.apportionment import apportioned
from forethought.numerics.late_imports import torch


@dataclass(frozen=True)
class AdaptiveAllocation(Allocation):
    """A head's budget grows with its number of the layer's best entries."""

    alpha: float
    """Share of the average guaranteed to every head."""
    layers: Uniform = field(default_factory=Uniform)
    """The average budget of a layer's heads."""

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """The floor plus the best entries of each head, rounded to an exact sum per layer."""
        return [self._of_heads(room) for room in rooms]

    def _of_heads(self, room: LayerRoom) -> list[int]:
        each, free = self.layers.layer_budget(room), room.free()
        floor, total = int(each * self.alpha), each * len(free)
        quotas = [own * (1 - self.alpha) + floor for own in winners([room], total)[0]]
        return apportioned(quotas, total, free)


def winners(rooms: Sequence[LayerRoom], total: int) -> list[list[int]]:
    """Per layer and head, the number of the `total` best entries of all layers.

    Equal scores rank by entry, then by layer, then by head, lowest first.
    """
    widest = max(room.scores.shape[1] for room in rooms)
    scores = torch.cat([_filled(room, widest) for room in rooms])
    ranked = scores.T.flatten().sort(descending=True, stable=True)
    best = ranked.indices[:total][ranked.values[:total].isfinite()]
    counts = iter(torch.bincount(best % len(scores), minlength=len(scores)).tolist())
    return [list(islice(counts, len(room.scores))) for room in rooms]


def _filled(room: LayerRoom, width: int) -> torch.Tensor:
    missing = width - room.scores.shape[1]
    return torch.nn.functional.pad(room.scores, (0, missing), value=-torch.inf)
