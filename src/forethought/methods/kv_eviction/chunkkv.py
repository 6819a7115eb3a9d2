"""Keep whole chunks of the text that the last prompt tokens attend to.

Paper: ChunkKV, arXiv:2502.00299, over SnapKV
Published: ours; kvpress: chunks of 20 tokens, which may hold tokens of the window. Here: chunks of
    20 tokens before the window, which always stays.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped chunks.
Cost: as snapkv. Up to one chunk less than keep is in the cache, since chunks stay whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.chunks import Chunks
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class ChunkKV(DecodeEvicting):
    """SnapKV's scores, summed over heads and averaged over chunks."""

    chunk_tokens: Count = 20
    """Tokens of a chunk."""
    window: Count = 32
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 5
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "mean"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance over chunks."""
        return Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            Chunks(self.chunk_tokens),
            newest=self.window,
        )
