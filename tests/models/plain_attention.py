"""Attention as its definition says it, with a cache that only grows: the tests' reference."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape, ModelShape


@dataclass
class PlainAttention:
    """Causal attention within each of several rows; `tokens_per_row` says how they are packed."""

    shape: ModelShape
    tokens_per_row: list[int]
    keys: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """(layer, row) to every key so far, [entries, K, D]."""
    values: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    layers_seen: list[int] = field(default_factory=list)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.layers_seen.append(layer)
        packed = zip(*(t.split(self.tokens_per_row) for t in (q, k, v)), strict=True)
        mixed = [self._row(layer, row, *parts) for row, parts in enumerate(packed)]
        return torch.cat(mixed).flatten(1).to(q.dtype)

    def _row(self, layer: int, row: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        place = (layer, row)
        if place in self.keys:
            k, v = torch.cat([self.keys[place], k]), torch.cat([self.values[place], v])
        self.keys[place], self.values[place] = k.clone(), v.clone()
        return attention_of(self.shape.layers[layer], q, k, v)


def attention_of(shape: LayerShape, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[n, H, D] of the n newest of all entries [e, K, D], at least in float32."""
    wide = torch.promote_types(q.dtype, torch.float32)
    group = shape.heads // shape.kv_heads
    k, v = (t.to(wide).repeat_interleave(group, 1) for t in (k, v))
    scores = torch.einsum("nhd,ehd->hne", q.to(wide), k) * shape.scale
    if shape.softcap is not None:
        scores = torch.tanh(scores / shape.softcap) * shape.softcap
    distance = torch.arange(len(k) - len(q), len(k))[:, None] - torch.arange(len(k))
    hidden = distance < 0
    if shape.window is not None:
        hidden |= distance >= shape.window
    chances = scores.masked_fill(hidden, -math.inf).softmax(-1)
    return torch.einsum("hne,ehd->nhd", chances, v)
