"""Whole chunks of the text, the same for all heads of a layer (ChunkKV, arXiv:2502.00299)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Chunks(Uniform):
    """Keeps the budget's share of the chunks, at least one, by their mean scores.

    Chunks stay whole, and the last one may be short: the budget may be exceeded by less than a
    chunk, and may not be used up.
    """

    chunk_tokens: int = 20

    def entries_beyond(self, layers: int) -> float:
        """A chunk."""
        return float(self.chunk_tokens)

    def uncounted(self) -> str:
        """The rest of the last chunk."""
        return "chunks stay whole, so entries differ from keep by up to a chunk"

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room of the chosen chunks; other entries are excluded."""
        scores = room.scores.sum(0)
        free = int(scores.isfinite().sum())
        if free < self.chunk_tokens or not room.per_head:
            return room
        chunks = chunks_of(scores, places[0], self.chunk_tokens)
        means = torch.stack([scores[chunk].mean() for chunk in chunks])
        count = max(1, len(chunks) * room.per_head // free)
        ranked = means.argsort(descending=True, stable=True).tolist()
        kept = torch.cat([chunks[number] for number in ranked[:count]])
        chosen = torch.full_like(scores, -torch.inf)
        chosen[kept] = scores[kept]
        return replace(room, scores=chosen.expand_as(room.scores), per_head=len(kept))


def chunks_of(scores: Tensor, places: Tensor, size: int) -> list[Tensor]:
    """The entries that can be chosen, by chunks of `size` places."""
    free = scores.isfinite().nonzero().flatten()
    _, counts = torch.unique_consecutive(places[free] // size, return_counts=True)
    return list(torch.split(free, counts.tolist()))
