"""Keep the cache entries whose keys are short.

Paper: A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression,
arXiv:2406.11430 (EMNLP 2024); published with the first two layers left whole.
Exact: when keep reaches the prompt's length; the scores know neither question nor answer.
Cost: none beyond reading the prompt; no attention is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero, Keep
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.key_norm import KeyNorm


@dataclass(frozen=True)
class KNorm(Evicting):
    """Low norms of keys go with high attention."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="knorm",
            keep=self.keep,
            importance=KeyNorm(),
            every=self.every,
            protect=self.protect,
        )
