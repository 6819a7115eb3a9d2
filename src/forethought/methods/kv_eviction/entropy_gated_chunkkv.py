"""Keep whole chunks of the text, or the best entries of a chunk with few of them.

Paper: none; a press of kvpress after ChunkKV, arXiv:2502.00299. A chunk whose score is at least
the median and whose entropy is below the median keeps its best spiky_tokens entries.
Published: ours; kvpress: chunks may hold tokens of the window. Here: chunks end before the window,
    which always stays.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped entries.
Cost: as snapkv. All of the budget is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.gated_chunks import GatedChunks
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class EntropyGatedChunkKV(DecodeEvicting):
    """SnapKV's scores over chunks, gated by the entropy of each chunk's scores."""

    chunk_tokens: Count = 10
    """Tokens of a chunk."""
    spiky_tokens: Count = 4
    """Entries that an important chunk of low entropy keeps."""
    window: Count = 32
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 5
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "mean"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """SnapKV's importance over gated chunks."""
        return Eviction(
            self,
            WindowAttention(self.window, self.kernel, self.pool),
            GatedChunks(self.chunk_tokens, self.spiky_tokens),
            newest=self.window,
        )
