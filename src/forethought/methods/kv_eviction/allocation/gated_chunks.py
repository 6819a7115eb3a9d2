"""Chunks of the text, of which a spiky chunk keeps only its best entries (after ChunkKV)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.chunks import chunks_of
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-8


@dataclass(frozen=True)
class GatedChunks(Uniform):
    """Takes chunks by mean score; an important chunk of low entropy keeps its best entries.

    The budget that these chunks free goes to further chunks, then to the best single entries.
    """

    chunk_tokens: int = 10
    spiky_tokens: int = 4

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room with the chosen entries above all others."""
        scores = room.scores.sum(0)
        left = min(room.per_head, int(scores.isfinite().sum()))
        if not left:
            return room
        chosen = torch.zeros_like(scores, dtype=torch.bool)
        for entries, wanted in self._by_score(
            scores, chunks_of(scores, places[0], self.chunk_tokens)
        ):
            count = min(wanted, left)
            chosen[entries[_best(scores[entries], count)]] = True
            left -= count
        rest = scores.masked_fill(chosen, -torch.inf)
        chosen[_best(rest, left)] = True
        kept = torch.where(chosen, scores, -torch.inf)
        return replace(room, scores=kept.expand_as(room.scores))

    def _by_score(self, scores: Tensor, chunks: list[Tensor]) -> list[tuple[Tensor, int]]:
        """The chunks, best mean first, and the entries that each may keep."""
        means = torch.stack([scores[chunk].mean() for chunk in chunks])
        entropies = torch.stack([_entropy(scores[chunk]) for chunk in chunks])
        spiky = (means >= means.median()) & (entropies < entropies.median())
        order = means.argsort(descending=True, stable=True).tolist()
        most = [self.spiky_tokens if spiky[n] else self.chunk_tokens for n in range(len(chunks))]
        return [(chunks[n], min(len(chunks[n]), most[n])) for n in order]


def _best(scores: Tensor, count: int) -> Tensor:
    """The indices of the `count` highest scores, lower indices first among equals."""
    return scores.argsort(descending=True, stable=True)[:count]


def _entropy(scores: Tensor) -> Tensor:
    """The entropy of a chunk's scores, from 0 for a single peak to 1 for equal scores."""
    if len(scores) == 1:
        return scores.new_zeros(())
    shifted = scores - scores.min().clamp(max=0.0)
    shares = shifted / (shifted.sum() + _TINY)
    nats = -(shares * (shares + _TINY).log()).sum()
    return (nats / math.log(len(scores))).clamp(0.0, 1.0)
