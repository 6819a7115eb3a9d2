"""Keep the cache entries that queries to come are expected to attend to.

Paper: Expected Attention, arXiv:2510.00636
Exact: when keep reaches the prompt's length; the scores know the question only as a part of
the text. The published best results use budgets for each head (alpha=0.2, epsilon=0.01).
Cost: a covariance of the queries and a quadratic form of the keys in every layer; no
attention rows. Cuts while an answer is written know its newest queries only.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero, Keep, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.expected import ExpectedImportance


@dataclass(frozen=True)
class ExpectedAttention(Evicting):
    """Future queries are a Gaussian like those read, turned to positions to come."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    future: Count = 512
    """Positions behind the text over which queries are averaged."""
    sinks: CountOrZero = 4
    """Entries kept from the start."""
    covariance: bool = True
    """Whether the spread of queries counts, besides their mean."""
    value_norms: bool = True
    """Whether scores are multiplied by the lengths of the values."""
    epsilon: Share = 0.0
    """Added to the expected attention first."""
    alpha: Share = 1.0
    """Share of the average that every head has for itself; heads compete for the rest."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="expected-attention",
            keep=self.keep,
            importance=ExpectedImportance(
                self.future, self.sinks, self.covariance, self.value_norms, self.epsilon
            ),
            allocation=AdaptiveAllocation(self.alpha, Uniform()),
            sinks=self.sinks,
            every=self.every,
            protect=self.protect,
        )
