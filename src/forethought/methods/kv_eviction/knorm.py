"""Keep the cache entries whose keys have the smallest norms.

Paper: A Simple and Effective L2 Norm-Based Strategy for KV Cache Compression,
arXiv:2406.11430 (EMNLP 2024)
Published: paper; the first two layers stay whole, besides the budget. At whole_layers=0, as in
    kvpress, keep is the budget of every layer.
Exact: when keep reaches the prompt's length; the scores know neither question nor answer.
Cost: the prefill alone; no attention is recomputed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.roles import Entries, LayerView
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.key_norm import KeyNorm


@dataclass(frozen=True)
class KNorm(DecodeEvicting):
    """Keys of low norm tend to receive high attention."""

    revision: ClassVar[int] = 2
    """The first revision evicted from every layer by default."""

    whole_layers: CountOrZero = 2
    """First layers that keep all entries, besides the budget."""

    def eviction(self) -> Eviction:
        """The key norms alone."""
        return Eviction(self, KeyNorm())

    def entries_after(self, prompt_length: int, layers: int) -> float:
        """`keep` in some layers, the whole prompt in the first ones."""
        whole = min(self.whole_layers, layers)
        kept = min(prompt_length, self.entries_left(prompt_length, layers))
        return (whole * prompt_length + (layers - whole) * kept) / layers

    def uncounted(self) -> str:
        """Growth of the whole layers during decode."""
        grows = self.every and self.whole_layers
        return "entries of whole layers are counted as constant during decode" if grows else ""

    def entries_beyond(self, layers: int) -> float:
        """Unbounded, since a whole layer is as long as the prompt."""
        return math.inf if self.whole_layers else 0.0

    def on_layer(self, view: LayerView) -> Entries | None:
        """The entries of a layer to keep; None for all."""
        return None if view.layer < self.whole_layers else super().on_layer(view)
