"""Score entries as SnapKV does, and keep more of them in the first layers.

Paper: PyramidKV, arXiv:2406.02069
Published: code; Zefan-Cai/KVCache-Factory, the settings of its runner and its integer schedule,
    which exceeds keep by up to 13 % on average.
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at beta=1.
Cost: as snapkv.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.integer_pyramid import IntegerPyramid
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class PyramidKV(DecodeEvicting):
    """Budgets that fall linearly from the first layer to the last."""

    revision: ClassVar[int] = 2
    """The first revision's budgets summed to keep exactly, around a window of 32."""

    beta: Count = 20
    """Steepness: the last layer keeps 1 / beta of the average, besides what always stays."""
    window: Count = 8
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance under a pyramid allocation."""
        return Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            IntegerPyramid(self.beta),
            newest=self.window,
        )
