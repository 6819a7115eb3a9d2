"""Score entries as SpecKV does, and let the heads of a layer compete for the budget.

Paper: SpecKV, arXiv:2506.08373 (ICLR 2026), with the budgets of Ada-KV, arXiv:2407.11550
Published: ours (own name); Ada-KV's allocation over SpecKV's scores, which neither paper combines.
Exact: when keep reaches the prompt's length; equals speckv of the same settings at alpha=1.
Cost: as speckv, and attention over heads of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.importance.draft import DraftLookahead


@dataclass(frozen=True)
class AdaSpecKV(Evicting):
    """SpecKV's scores with a separate budget for each head."""

    alpha: Share = 0.2
    """Share of the average budget guaranteed to every head; heads compete for the rest."""
    window: Count = 32
    """Last prompt tokens: they score the entries with the look-ahead, and always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""
    reduction: Literal["max", "mean"] = "max"
    """Reduction of the attention over the query group and the queries."""
    lookahead: Count | None = None
    """Most tokens the draft decodes; the answer's token limit by default."""

    def eviction(self) -> Eviction:
        """SpecKV's importance under an adaptive allocation."""
        return Eviction(
            self,
            DraftLookahead(self.window, self.kernel, self.pool, self.reduction),
            AdaptiveAllocation(self.alpha),
            newest=self.window,
            lookahead=self.lookahead,
        )
