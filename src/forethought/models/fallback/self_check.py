"""A short packed batch and exact attention, to check a transformers model with."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape

CHECK_ROWS = [[5, 17, 3, 11, 8, 9, 33, 2, 21], [44, 7], [9, 9, 12, 6, 1, 7, 13, 22, 31, 14, 36]]
"""Token ids of three sequences, valid in any vocabulary."""

_LATER = 1  # tokens of each row in the second pass


def row_positions() -> Iterator[tuple[Tensor, Tensor, list[int]]]:
    """Two passes over CHECK_ROWS: packed tokens [N], positions [N], tokens per row."""
    for part in (slice(None, -_LATER), slice(-_LATER, None)):
        rows = [torch.tensor(row[part]) for row in CHECK_ROWS]
        positions = [torch.arange(len(row))[part] for row in CHECK_ROWS]
        yield torch.cat(rows), torch.cat(positions), [len(row) for row in rows]


class RowAttention:
    """Causal attention of packed rows over their previous keys and values."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        """Tokens of each row in the next call."""
        self.past: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        """(layer, row) to its keys and values so far, [entries, K, D]."""

    def attend(self, layer: int, shape: LayerShape, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [N, H, D], k and v [N, K, D] to [N, H * D]."""
        packed = zip(*(torch.split(t, self.counts) for t in (q, k, v)), strict=True)
        mixed = [self._row((layer, row), shape, *parts) for row, parts in enumerate(packed)]
        return torch.cat(mixed).flatten(1).to(q.dtype)

    def _row(
        self, place: tuple[int, int], shape: LayerShape, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        if place in self.past:
            keys, values = self.past[place]
            k, v = torch.cat([keys, k]), torch.cat([values, v])
        self.past[place] = k, v
        return exact_attention(shape, q, k, v)


def exact_attention(shape: LayerShape, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention [n, H, D] of the n newest queries over all entries, in float32 or wider."""
    wide = torch.promote_types(q.dtype, torch.float32)
    group = shape.heads // shape.kv_heads
    k, v = (tensor.to(wide).repeat_interleave(group, 1) for tensor in (k, v))
    scores = torch.einsum("nhd,ehd->hne", q.to(wide), k) * shape.scale
    if shape.softcap is not None:
        scores = torch.tanh(scores / shape.softcap) * shape.softcap
    entries = torch.arange(len(k), device=k.device)
    distance = entries[-len(q) :, None] - entries
    hidden = distance < 0
    if shape.window is not None:
        hidden |= distance >= shape.window
    chances = scores.masked_fill(hidden, -math.inf).softmax(-1)
    return torch.einsum("hne,ehd->nhd", chances, v)
