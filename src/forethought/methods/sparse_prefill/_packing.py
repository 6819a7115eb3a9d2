"""Queries of one layer, packed for attention head by head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.models.hardware.processor import widened
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


def packed(view: LayerView, heads: int) -> Tensor:
    """The scaled queries [P, N, H / P, D] of `heads` groups of query heads.

    They are scaled and rounded as those of dense attention, so products need no scale.
    """
    queries = widened(view.queries)
    length, _, size = queries.shape
    wide = torch.promote_types(queries.dtype, torch.float32)
    scaled = (queries.to(wide) * view.shape.scale).to(queries.dtype)
    return scaled.view(length, heads, -1, size).transpose(0, 1).contiguous()


def packed_rows(view: LayerView, head: int, rows: slice) -> Tensor:
    """The scaled queries [T, G, D] of one KV head at `rows`; a small copy that stays in cache."""
    groups = view.shape.heads // view.shape.kv_heads
    own = view.queries[rows, head * groups : (head + 1) * groups]
    wide = torch.promote_types(own.dtype, torch.float32)
    return widened((own.to(wide) * view.shape.scale).to(own.dtype)).contiguous()


def joined(out: Tensor, view: LayerView) -> Tensor:
    """Outputs [P, N, H / P, V] as [N, H * V], in the dtype of the view's queries."""
    return out.transpose(0, 1).reshape(len(view.queries), -1).to(view.queries.dtype)
