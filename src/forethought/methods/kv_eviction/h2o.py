"""Keep the cache entries that received the most attention, and the newest.

Paper: H2O, arXiv:2306.14048 (NeurIPS 2023): half of the budget for heavy hitters, half for the
newest, and an eviction after every token. every=0 evicts once, after prefill, as many comparisons
do.
Published: paper; Paper: models without query groups. Here: attention is averaged over the group.
Exact: when keep reaches the length of prompt and answer, or at every=0 that of the prompt. Sums
over all queries favour early entries, and an evicted entry never returns.
Cost: attention rows of every query: about as much as the query-key products again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import CountOrZero, Share
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention


@dataclass(frozen=True)
class H2O(DecodeEvicting):
    """Heavy hitters and a recent window."""

    revision: ClassVar[int] = 2
    """The first revision evicted once by default, after prefill."""

    recent: Share = 0.5
    """Share of keep for the newest entries, which always stay."""
    every: CountOrZero = 1
    """Decoded tokens between two evictions; keep includes them. 0 evicts once, after prefill."""

    def eviction(self) -> Eviction:
        """The accumulated attention and a recent window."""
        return Eviction(
            self, AccumulatedAttention(), newest=float(self.recent), newest_name="recent"
        )
