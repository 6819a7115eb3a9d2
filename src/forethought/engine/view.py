"""What a method sees of a layer: its queries, its keys, and attention rows on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.attention import Visibility

_CHUNK_BYTES = 64 << 20  # probabilities materialised at once


@dataclass(frozen=True)
class View:
    """One layer of one row, right after its attention (see contracts.roles.LayerView)."""

    layer: int
    shape: LayerShape
    queries: Tensor
    keys: Tensor
    prompt_length: int
    protected: frozenset[int]
    sight: Visibility

    def window_rows(self, count: int) -> Iterator[Tensor]:
        """[K, G, rows, E] float32 probabilities of the last `count` queries, oldest first."""
        length, heads, _ = self.queries.shape
        count = min(count, length)
        size = max(1, _CHUNK_BYTES // (4 * heads * self.keys.shape[1]))
        for start in range(length - count, length, size):
            yield self._rows(slice(start, min(start + size, length)))

    def _rows(self, block: slice) -> Tensor:
        entries, length = self.keys.shape[1], self.queries.shape[0]
        kv_heads, rows = self.keys.shape[0], block.stop - block.start
        packed = self.queries[block].reshape(rows, kv_heads, -1, self.keys.shape[-1])
        packed = packed.permute(1, 2, 0, 3)
        scores = torch.matmul(packed.flatten(1, 2), self.keys.transpose(1, 2)).float()
        scores = scores.mul_(self.shape.scale).view(kv_heads, -1, rows, entries)
        if self.shape.softcap is not None:
            scores.div_(self.shape.softcap).tanh_().mul_(self.shape.softcap)
        newest = torch.arange(entries - length + block.start, entries - length + block.stop)
        future = torch.arange(entries) > newest[:, None]
        scores.masked_fill_(future.to(scores.device), -torch.inf)
        hidden = self.sight.hidden(block, slice(0, entries))
        if hidden is not None:
            scores.masked_fill_(hidden.transpose(1, 2), -torch.inf)
        return torch.softmax(scores, -1)
