"""Keep the first few cache entries and the newest; no scores at all.

Paper: StreamingLLM, arXiv:2309.17453 (ICLR 2024)
Published: code (kvpress); StreamingLLMPress. Paper: evicts during prefill, and positions count
    within the cache. Here, as in kvpress: evicts after prefill, keys keep their rotation, and the
    answer continues at its true position.
Exact: when keep reaches the prompt's length; the middle of the prompt is lost. Protected entries
take room from the window.
Cost: the prefill alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.recency import Recency


@dataclass(frozen=True)
class StreamingLLM(DecodeEvicting):
    """Attention sinks and a recent window."""

    sinks: CountOrZero = 4
    """First entries, which always stay."""

    def eviction(self) -> Eviction:
        """The newest entries and the sinks."""
        return Eviction(self, Recency(), sinks=self.sinks)
