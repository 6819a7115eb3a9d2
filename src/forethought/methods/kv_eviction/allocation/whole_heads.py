"""All entries of some heads, and of the others only those that always stay (arXiv:2410.10819)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from forethought.methods.kv_eviction.allocation import Allocation, LayerRoom


@dataclass(frozen=True)
class WholeHeads(Allocation):
    """The heads of the highest score, in any layer, that fit the budget; the rest is unused."""

    spans_layers: ClassVar[bool] = True

    def uncounted(self) -> str:
        """The unused rest."""
        return "heads stay whole, so fewer entries than keep may stay"

    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """All droppable entries of the best heads, none of the others."""
        free = [count for room in rooms for count in room.free()]
        best = [score for room in rooms for score in room.scores.amax(1).tolist()]
        left = sum(room.per_head * len(room.scores) for room in rooms)
        kept = [0] * len(free)
        for head in sorted(range(len(free)), key=lambda head: -best[head]):
            if free[head] > left:
                break
            kept[head] = free[head]
            left -= free[head]
        counts = iter(kept)
        return [list(islice(counts, len(room.scores))) for room in rooms]
