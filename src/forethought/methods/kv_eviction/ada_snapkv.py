"""Let the heads of a layer compete for entries that the last prompt tokens attend to.

Paper: Ada-KV, arXiv:2407.11550 (NeurIPS 2025), over SnapKV
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at alpha=1.
Cost: as snapkv, and attention over heads of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class AdaSnapKV(Evicting):
    """SnapKV's scores, with a budget for each head."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    alpha: Share = 0.2
    """Share of the average that every head has for itself; heads compete for the rest."""
    window: Count = 32
    """The last prompt tokens, which score and always stay."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="ada-snapkv",
            keep=self.keep,
            importance=WindowAttention(self.window, self.kernel, self.pool),
            allocation=AdaptiveAllocation(self.alpha, Uniform()),
            newest=self.window,
            every=self.every,
            protect=self.protect,
        )
