"""Score entries as SnapKV does, and let the heads of a layer compete for the budget.

Paper: Ada-KV, arXiv:2407.11550 (NeurIPS 2025), over SnapKV
Published: ours; the settings of FFY0/AdaKV's command line, where the guaranteed share is 0.2. Code:
    the budget of each head is rounded alone. Here: budgets of heads sum to the layer's exactly.
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at alpha=1.
Cost: as snapkv, and attention over heads of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class AdaSnapKV(DecodeEvicting):
    """SnapKV's scores with a separate budget for each head."""

    alpha: Share = 0.2
    """Share of the average budget guaranteed to every head; heads compete for the rest."""
    window: Count = 32
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance under an adaptive allocation."""
        return Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            AdaptiveAllocation(self.alpha),
            newest=self.window,
        )
