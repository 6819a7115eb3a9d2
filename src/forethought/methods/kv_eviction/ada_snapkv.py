"""Score entries as SnapKV does, and let the heads of a layer compete for the budget.

Paper: Ada-KV, arXiv:2407.11550 (NeurIPS 2025), over SnapKV
Published: code; the settings of FFY0/AdaKV's command line, where the guaranteed share is 0.2. The
    budget of each head is rounded alone, so those of a layer may miss keep by half an entry a head.
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at alpha=1.
Cost: as snapkv, and attention over heads of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.parameters import Count, OddCount, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.rounded_adaptive import RoundedAdaptive
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class AdaSnapKV(DecodeEvicting):
    """SnapKV's scores with a separate budget for each head."""

    revision: ClassVar[int] = 2
    """The first revision's budgets of heads summed to the layer's exactly."""

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
            RoundedAdaptive(self.alpha),
            newest=self.window,
        )
