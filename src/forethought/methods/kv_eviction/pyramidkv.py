"""Score entries as SnapKV does, and keep more of them in the first layers.

Paper: PyramidKV, arXiv:2406.02069
Published: ours; Paper: an integer schedule, which exceeds its budget by up to 13 %. Here: the
    budgets of layers sum to the stated one exactly.
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at beta=1.
Cost: as snapkv.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.pyramid import Pyramid
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class PyramidKV(DecodeEvicting):
    """Budgets that fall linearly from the first layer to the last."""

    beta: Count = 20
    """Steepness: the last layer keeps 1 / beta of the average, besides what always stays."""
    window: Count = 32
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance under a pyramid allocation."""
        return Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            Pyramid(self.beta),
            newest=self.window,
        )
