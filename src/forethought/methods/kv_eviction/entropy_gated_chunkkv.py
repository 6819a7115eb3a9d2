"""Keep whole chunks of the text, or the best entries of a chunk with few of them.

Paper: none; a press of kvpress after ChunkKV, arXiv:2502.00299. A chunk whose score is at least
the median and whose entropy is below the median keeps its best spiky_tokens entries.
Published: code (kvpress); EntropyGatedChunkKVPress over SnapKVPress.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped entries.
Cost: as snapkv. All of the budget is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import Count
from forethought.methods.kv_eviction._chunked import Chunked
from forethought.methods.kv_eviction.allocation.gated_chunks import GatedChunks


@dataclass(frozen=True)
class EntropyGatedChunkKV(Chunked):
    """SnapKV's scores over chunks, gated by the entropy of each chunk's scores."""

    revision: ClassVar[int] = 2
    """The first revision's chunks ended before a window of 32, which always stayed."""

    chunk_tokens: Count = 10
    """Tokens of a chunk."""
    spiky_tokens: Count = 4
    """Entries that an important chunk of low entropy keeps."""

    def allocation(self) -> GatedChunks:
        """Chunks gated by their entropy."""
        return GatedChunks(self.chunk_tokens, self.spiky_tokens)
