"""The less a key resembles the mean key, the more important an entry (arXiv:2504.15364)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.parameters import Amount
from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.methods.kv_eviction._entries import entries_left
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import F, torch

if TYPE_CHECKING:
    from torch import Tensor

_LOST = -2.0  # below any cosine


@dataclass(frozen=True)
class KeyDifference(LayerImportance):
    """Minus the cosine of each key and the mean of all unit keys.

    With `block`, the entries of a prompt compete block by block, as if the prompt were prefilled
    in blocks under the budget: the mean is that of the entries that remain and of the new block.
    """

    keep: Amount = 1024
    every: int = 0
    block: int = 0

    def layer_flops(self, layer: LayerSizes) -> float:
        """The cosines of all keys, and in prefill those of every block of rivals."""
        size = layer.shape.kv_heads * layer.shape.head_dim
        if layer.added is not None or not self.block:
            return 4.0 * size * layer.entries
        budget = min(entries_left(self.keep, self.every, layer.entries), layer.entries)
        starts = range(budget, layer.entries, self.block)
        rivals = sum(budget + min(self.block, layer.entries - start) for start in starts)
        return 4.0 * size * (layer.entries + rivals)

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]; entries that lose against a later block have the lowest."""
        keys = view.keys.float()
        view.charge(4.0 * keys.numel())
        if view.decoding or not self.block:
            return difference(keys, places >= 0)
        length = keys.shape[1]
        budget = min(entries_left(self.keep, self.every, length), length)
        kept = torch.arange(budget, device=keys.device).expand(len(keys), -1)
        for start in range(budget, length, self.block):
            new = torch.arange(start, min(start + self.block, length), device=keys.device)
            rivals = torch.cat([kept, new.expand(len(keys), -1)], 1)
            view.charge(4.0 * rivals.numel() * keys.shape[-1])
            best = _of(keys, rivals).topk(budget, -1).indices
            kept = rivals.gather(1, best)
        scores = keys.new_full(keys.shape[:2], _LOST)
        return scores.scatter(1, kept, _of(keys, kept))


def _of(keys: Tensor, kept: Tensor) -> Tensor:
    """The scores [K, M] of the entries `kept` [K, M] among themselves."""
    chosen = keys.gather(1, kept.unsqueeze(-1).expand(-1, -1, keys.shape[-1]))
    return difference(chosen, torch.ones_like(kept, dtype=torch.bool))


def difference(keys: Tensor, held: Tensor) -> Tensor:
    """Scores [K, E] of keys [K, E, D]; only the entries in `held` count for the mean."""
    units = F.normalize(keys, dim=-1).masked_fill(~held.unsqueeze(-1), 0.0)
    anchor = units.sum(1, keepdim=True) / held.sum(1)[:, None, None]
    return -F.cosine_similarity(keys, anchor, dim=-1)
