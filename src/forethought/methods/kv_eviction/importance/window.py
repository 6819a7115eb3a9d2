"""Attention of the last tokens (SnapKV, arXiv:2404.14469)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.cost.flops import row_flops
from forethought.methods.kv_eviction._entries import after_newest
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.importance import pooled
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WindowAttention(LayerImportance):
    """Attention of the newest `window` tokens, pooled over neighbouring entries."""

    window: int
    kernel: int
    pool: str
    raised: bool = False
    """Give the window more than the highest score, as kvpress does."""

    @property
    def newest_queries(self) -> int:
        """The window."""
        return self.window

    def layer_flops(self, layer: LayerSizes) -> float:
        """The rows of the window."""
        return row_flops(layer.shape, layer.entries, min(self.window, layer.held_queries))

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E], pooled over the entries before the window."""
        # Averaging over the query group commutes with mean pooling. Max pooling comes after it,
        # since the group shares one key head.
        scores = window_scores(view, self.window, "mean")
        until = after_newest(places) - self.window
        scores = pooled_until(scores, places, until, self.kernel, self.pool)
        if not self.raised:
            return scores
        inside = places >= until
        return scores.masked_fill(inside, float(scores.masked_fill(inside, 0.0).max()) + 1)


def window_scores(view: LayerView, count: int, reduction: str) -> Tensor:
    """[K, E]: attention of the last `count` queries, reduced over queries and query group."""
    total: Tensor | None = None
    groups = queries = 0
    for rows in view.window_rows(count):
        groups, queries = rows.shape[1], queries + rows.shape[2]
        part = rows.amax((1, 2)) if reduction == "max" else rows.sum((1, 2))
        if total is None:
            total = part
        else:
            total = torch.maximum(total, part) if reduction == "max" else total + part
    assert total is not None, "a window has at least one query"
    return total if reduction == "max" else total / (groups * queries)


def pooled_until(scores: Tensor, places: Tensor, until: int, kernel: int, pool: str) -> Tensor:
    """Scores [K, E] pooled over neighbours; entries at or after the place `until` count as 0."""
    outside = (places < 0) | (places >= until)
    return pooled(scores.masked_fill(outside, 0.0), kernel, pool)
