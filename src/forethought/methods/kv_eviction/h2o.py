"""Keep the cache entries that received the most attention, and the newest.

Paper: H2O, arXiv:2306.14048 (NeurIPS 2023). The paper evicts after every token (every=1) and
has no query groups; attention is averaged over the group here.
Published: ours; evicts once, after prefill, and averages over the query group.
Exact: when keep reaches the prompt's length and every=0. Sums over all queries favour early
entries, and an evicted entry never returns.
Cost: attention rows of every query: about as much as the query-key products again.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention


@dataclass(frozen=True)
class H2O(DecodeEvicting):
    """Heavy hitters and a recent window."""

    recent: Share = 0.5
    """Share of keep for the newest entries, which always stay."""

    def eviction(self) -> Eviction:
        """The accumulated attention and a recent window."""
        return Eviction(
            self, AccumulatedAttention(), newest=float(self.recent), newest_name="recent"
        )
