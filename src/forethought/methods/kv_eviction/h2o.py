"""Keep the cache entries that have received most attention, and the newest.

Paper: H2O, arXiv:2306.14048 (NeurIPS 2023); published with a cut after every token (every=1),
and without query groups, over which attention is averaged here.
Exact: when keep reaches the prompt's length and every=0; sums over all queries favour early
entries, and what is dropped stays dropped.
Cost: attention rows of every query: about the products of queries and keys once more.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero, Keep, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention


@dataclass(frozen=True)
class H2O(Evicting):
    """Heavy hitters and a recent window."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    recent: Share = 0.5
    """Share of these for the newest, which always stay."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="h2o",
            keep=self.keep,
            importance=AccumulatedAttention(),
            newest=float(self.recent),
            newest_name="recent",
            every=self.every,
            protect=self.protect,
        )
