"""Let the heads of a layer compete for entries that a draft's guess attends to.

Paper: SpecKV, arXiv:2506.08373 (ICLR 2026), with the budgets of Ada-KV, arXiv:2407.11550
Exact: when keep reaches the prompt's length; equals speckv of the same settings at alpha=1.
Cost: as speckv, and attention over heads of different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, Keep, OddCount, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.draft_lookahead import DraftLookahead


@dataclass(frozen=True)
class AdaSpecKV(Evicting):
    """SpecKV's scores, with a budget for each head."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    alpha: Share = 0.2
    """Share of the average that every head has for itself; heads compete for the rest."""
    window: Count = 32
    """The last prompt tokens, which score with the look-ahead and always stay."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    reduction: Literal["max", "mean"] = "max"
    """Over the query group and the queries together."""
    lookahead: Count | None = None
    """Tokens the draft writes at most; as many as the answer may have when not given."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="ada-speckv",
            keep=self.keep,
            importance=DraftLookahead(self.window, self.kernel, self.pool, self.reduction),
            allocation=AdaptiveAllocation(self.alpha, Uniform()),
            newest=self.window,
            protect=self.protect,
            lookahead=self.lookahead,
        )
