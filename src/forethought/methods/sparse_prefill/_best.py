"""The indices of the highest scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def best(scores: Tensor, count: int) -> Tensor:
    """Indices [..., count] of the highest scores [..., n], ascending; ties to the lower index."""
    ranked = scores.sort(dim=-1, descending=True, stable=True).indices
    return ranked[..., :count].sort(-1).values
