"""Keep whole chunks of the text that the last prompt tokens attend to.

Paper: ChunkKV, arXiv:2502.00299, over SnapKV
Published: code (kvpress); ChunkKVPress over SnapKVPress.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped chunks.
Cost: as snapkv. Chunks stay whole, so the cache may hold up to one chunk more or less than keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.methods.kv_eviction._chunked import Chunked
from forethought.methods.kv_eviction.allocation.chunks import Chunks


@dataclass(frozen=True)
class ChunkKV(Chunked):
    """SnapKV's scores, summed over heads and averaged over chunks."""

    revision: ClassVar[int] = 2
    """The first revision's chunks ended before a window of 32, which always stayed."""

    def allocation(self) -> Chunks:
        """The chunks of the highest mean."""
        return Chunks(self.chunk_tokens)
