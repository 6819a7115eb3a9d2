"""Keep the cache entries whose keys have the smallest norms.

Paper: A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression,
arXiv:2406.11430 (EMNLP 2024). The paper leaves the first two layers whole.
Published: ours; evicts in every layer, where the paper leaves the first two whole.
Exact: when keep reaches the prompt's length; the scores know neither question nor answer.
Cost: the prefill alone; no attention is recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.key_norm import KeyNorm


@dataclass(frozen=True)
class KNorm(DecodeEvicting):
    """Keys of low norm tend to receive high attention."""

    def eviction(self) -> Eviction:
        """The key norms alone."""
        return Eviction(self, KeyNorm())
