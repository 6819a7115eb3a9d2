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
    """Keeps the chunks of the highest mean score that fit, and leaves the rest of the budget.

    Only the best chunk may be cut short, if it alone exceeds the budget.
    """

    chunk_tokens: int = 20

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room with the mean score of its chunk for each entry; other chunks are excluded."""
        scores = room.scores.sum(0)
        if not bool(scores.isfinite().any()):
            return room
        chunks = chunks_of(scores, places[0], self.chunk_tokens)
        means = torch.stack([scores[chunk].mean() for chunk in chunks])
        kept = torch.full_like(scores, -torch.inf)
        left = room.per_head
        for number in means.argsort(descending=True, stable=True).tolist():
            if len(chunks[number]) > left and left < room.per_head:
                break
            kept[chunks[number]] = means[number]
            left -= len(chunks[number])
        return replace(room, scores=kept.expand_as(room.scores))


def chunks_of(scores: Tensor, places: Tensor, size: int) -> list[Tensor]:
    """The entries that can be chosen, by chunks of `size` places."""
    free = scores.isfinite().nonzero().flatten()
    _, counts = torch.unique_consecutive(places[free] // size, return_counts=True)
    return list(torch.split(free, counts.tolist()))
