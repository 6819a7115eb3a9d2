"""The parts of evictions by chunks of the text."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation import Allocation
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class Chunked(DecodeEvicting):
    """SnapKV's scores over chunks; the window has the highest, and is part of chunks."""

    chunk_tokens: Count = 20
    """Tokens of a chunk."""
    window: Count = 64
    """Last prompt tokens: their attention scores the entries before them."""
    kernel: OddCount = 5
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "mean"
    """Pooling of the scores."""

    @abstractmethod
    def allocation(self) -> Allocation:
        """The choice among chunks."""

    def eviction(self) -> Eviction:
        """SnapKV's importance over chunks."""
        importance = WindowAttention(self.window, self.kernel, self.pool, raised=True)
        return Eviction(self, importance, self.allocation())
