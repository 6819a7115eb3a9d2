"""Attention that an entry received from all queries so far (H2O, arXiv:2306.14048)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.cost.flops import row_flops
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AccumulatedAttention(LayerImportance):
    """Attention summed over queries and averaged over the query group."""

    needs_all_queries: ClassVar[bool] = True

    def layer_flops(self, layer: LayerSizes) -> float:
        """The rows of the entries since the last call."""
        return row_flops(layer.shape, layer.entries, min(layer.new, layer.held_queries))

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]: the remembered sums plus the attention of the queries since."""
        kv_heads, entries, _ = view.keys.shape
        before = 0 if view.memory is None else view.memory.shape[1]
        total = torch.zeros(kv_heads, entries, dtype=torch.float32, device=view.keys.device)
        for rows in view.window_rows(entries - before):
            total += rows.mean(1).sum(1)
        if view.memory is not None:
            total[:, :before] += _without_padding(view, view.memory)
        view.remember(total)
        return total


def _without_padding(view: LayerView, memory: Tensor) -> Tensor:
    """Memory [K, E'] with zeros at padding."""
    if view.held is None:
        return memory
    added = view.keys.shape[1] - memory.shape[1]
    place = torch.arange(memory.shape[1], device=memory.device)
    held = view.held.to(memory.device)[:, None]
    return memory.masked_fill(place >= held - added, 0.0)
