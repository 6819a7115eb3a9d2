"""Keep the cache entries that future queries are expected to attend to.

Paper: Expected Attention, arXiv:2510.00636
Published: code (kvpress); ExpectedAttentionPress, by the paper's authors, with one budget for all
    heads.
Exact: when keep reaches the prompt's length. The question counts only as part of the text. The
published best results use budgets for each head (alpha=0.2, epsilon=0.01).
Cost: a covariance of the queries and a quadratic form of the keys in every layer; no
attention rows. Evictions during decode know the newest queries only.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.importance.expected import ExpectedImportance


@dataclass(frozen=True)
class ExpectedAttention(DecodeEvicting):
    """Models future queries as a Gaussian of the queries so far, rotated to future positions."""

    future: Count = 512
    """Positions after the text over which queries are averaged."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""
    covariance: bool = True
    """Use the covariance of the queries as well as their mean."""
    value_norms: bool = True
    """Multiply scores by the norms of the values."""
    epsilon: Share = 0.0
    """Added to the expected attention before the value norms."""
    alpha: Share = 1.0
    """Share of the average budget guaranteed to every head; heads compete for the rest."""

    def eviction(self) -> Eviction:
        """The expected attention under an adaptive allocation."""
        return Eviction(
            self,
            ExpectedImportance(
                self.future, self.sinks, self.covariance, self.value_norms, self.epsilon
            ),
            AdaptiveAllocation(self.alpha),
            sinks=self.sinks,
        )
