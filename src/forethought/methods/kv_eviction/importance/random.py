"""Random scores: the control for every other importance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.methods.kv_eviction._entries import after_newest
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RandomImportance(LayerImportance):
    """A random number for each layer, head and place."""

    seed: int

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]; an entry has the same score in every call."""
        kv_heads = view.keys.shape[0]
        generator = torch.Generator().manual_seed(self.seed * view.layers + view.layer)
        # The first axis is the place, so a longer text draws the same scores for its start.
        drawn = torch.rand(after_newest(places), kv_heads, generator=generator).T
        return drawn.to(view.keys.device).gather(1, places.clamp(min=0))
