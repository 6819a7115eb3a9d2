"""Keep the first few cache entries and the newest; no scores at all.

Paper: StreamingLLM, arXiv:2309.17453 (ICLR 2024), as a cut after the prompt: kept keys keep
their rotation and the answer goes on at its true position (no shifting of positions).
Exact: when keep reaches the prompt's length; whatever stood in the middle is lost.
Cost: none beyond reading the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero, Keep
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.recency import Recency


@dataclass(frozen=True)
class StreamingLLM(Evicting):
    """Attention sinks at the start, and a recent window."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    sinks: CountOrZero = 4
    """Entries kept from the start."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question too, at the expense of the window."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="streaming-llm",
            keep=self.keep,
            importance=Recency(),
            sinks=self.sinks,
            every=self.every,
            protect=self.protect,
        )
