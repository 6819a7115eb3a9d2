"""Heads of a layer compete for its entries, above a floor (Ada-KV, arXiv:2407.11550)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.apportionment import apportioned


@dataclass(frozen=True)
class AdaptiveAllocation(Allocation):
    """A head's share follows how many of the layer's best entries are its own."""

    alpha: float
    """Share of the average that is every head's own."""
    layers: Uniform
    """What the heads of a layer keep on average."""

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """Floor plus winners, rounded so that a layer's sum is exact."""
        return [self._of_heads(room) for room in rooms]

    def _of_heads(self, room: LayerRoom) -> list[int]:
        each, free = self.layers.of_layer(room), room.free()
        floor, total = int(each * self.alpha), each * len(free)
        quotas = [own * (1 - self.alpha) + floor for own in winners([room], total)[0]]
        return apportioned(quotas, total, free)


def winners(rooms: Sequence[LayerRoom], total: int) -> list[list[int]]:
    """How many of the `total` best free entries of all rooms are each head's.

    Of equal scores the lower entry goes first, then the lower layer, then the lower head.
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
