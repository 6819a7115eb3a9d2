"""Keep the cache entries whose keys have the smallest norms.

Paper: A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression,
arXiv:2406.11430 (EMNLP 2024)
Published: ours; Paper: the first two layers stay whole (whole_layers=2). Here: every layer is
    evicted, so that keep is the budget of each.
Exact: when keep reaches the prompt's length; the scores know neither question nor answer.
Cost: the prefill alone; no attention is recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.roles import Entries, LayerView
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.key_norm import KeyNorm


@dataclass(frozen=True)
class KNorm(DecodeEvicting):
    """Keys of low norm tend to receive high attention."""

    whole_layers: CountOrZero = 0
    """First layers that keep all entries, besides the budget."""

    def eviction(self) -> Eviction:
        """The key norms alone."""
        return Eviction(self, KeyNorm())

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep; None for all."""
        return None if view.layer < self.whole_layers else super().on_layer(view)
