"""The smaller the norm of its key, the more important an entry (arXiv:2406.11430)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KeyNorm(LayerImportance):
    """The negative L2 norm of each key."""

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]."""
        norms: Tensor = torch.linalg.vector_norm(view.keys.float(), dim=-1)
        return -norms
