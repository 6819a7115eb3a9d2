"""Keep the cache entries that are attended to, then those whose values change the output most.

Paper: CriticalKV, arXiv:2502.03805, over SnapKV; alpha=0.2 is CriticalAdaKV, where the heads of a
layer compete. Half of the entries are chosen by attention, the others by attention times the L1
norm of the projected value.
Published: code (kvpress); CriticalKVPress over SnapKVPress. The window counts towards the first
    half, and stays even if it is longer.
Exact: when keep reaches the prompt's length; equals snapkv at first_share=1 and alpha=1.
Cost: as snapkv, and one product of every value with the output projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.parameters import Count, OddCount, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.importance.critical import Critical
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class CriticalKV(DecodeEvicting):
    """SnapKV's scores in two stages, the second weighted by projected values."""

    revision: ClassVar[int] = 2
    """In the first revision, a window of 32 counted towards neither half."""

    first_share: Share = 0.5
    """Share of the budget, the window included, that attention alone chooses."""
    epsilon: Share = 1e-4
    """Added to the attention before the second stage."""
    alpha: Share = 1.0
    """Share of the average budget guaranteed to every head; heads compete for the rest."""
    window: Count = 64
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 5
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "mean"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance, weighted in its second stage."""
        window = WindowAttention(self.window, self.kernel, self.pool)
        base = Eviction(self, window, newest=self.window)
        return Eviction(
            self,
            Critical(base, float(self.first_share), float(self.epsilon)),
            AdaptiveAllocation(self.alpha),
            newest=self.window,
        )
