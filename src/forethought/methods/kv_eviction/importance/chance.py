"""Importance by chance: what any other has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import LayerView
from forethought.methods.kv_eviction._entries import after_newest
from forethought.methods.kv_eviction.importance import LayerImportance


@dataclass(frozen=True)
class Chance(LayerImportance):
    """A number drawn once for each layer, head and place."""

    seed: int

    def of_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """[K, E]; the same for an entry whenever it is asked for."""
        kv_heads = view.keys.shape[0]
        generator = torch.Generator().manual_seed(self.seed * view.layers + view.layer)
        # By place first, so that a longer text draws the same for its beginning.
        drawn = torch.rand(after_newest(places), kv_heads, generator=generator).T
        return drawn.to(view.keys.device).gather(1, places.clamp(min=0))
