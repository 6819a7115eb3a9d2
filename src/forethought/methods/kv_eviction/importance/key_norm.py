"""The smaller the norm of its key, the more important an entry (arXiv:2406.11430)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import LayerView
from forethought.methods.kv_eviction.importance import LayerImportance


@dataclass(frozen=True)
class KeyNorm(LayerImportance):
    """The negative L2 norm of each key."""

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]."""
        norms: Tensor = torch.linalg.vector_norm(view.keys.float(), dim=-1)
        return -norms
