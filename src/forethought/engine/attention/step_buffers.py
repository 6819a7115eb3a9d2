"""Attention of decode steps over buffers of one size and address, as CUDA graphs need them.

The entries of each row lie side by side in a place of its own, with room to grow; entries that all
rows share lie in a second buffer. A bias hides places without an entry. One fused call attends
to the rows' own entries and one to the shared prefix; both cut the entries into spans, so that a
GPU has work for its processors, and the spans are merged by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.cache.segment import SegmentView
from forethought.engine.upload import upload

_SPAN = 256
"""The least entries of a span; buffers hold a multiple of it."""
_BLOCKS = 128
"""Blocks of a kernel that keep a large GPU busy."""
_QUERIES = 64
"""Queries that one block of the fused kernel takes."""
_HIDDEN = -1e4
"""Bias of a place without an entry. Its share is 0, and unlike -inf it makes no row undefined."""


class StepSize(NamedTuple):
    """The sizes of the buffers, for which a graph is captured."""

    rows: int
    entries: int
    """Places of each row."""
    prefix: int
    """Places of the shared prefix; 0 for none."""

    def bytes(self, layers: int, shape: LayerShape, dtype: torch.dtype) -> int:
        """Bytes of the keys and values."""
        places = self.rows * self.entries + self.prefix
        return 2 * layers * shape.kv_heads * shape.head_dim * places * dtype.itemsize


def rounded(entries: int) -> int:
    """Places of a buffer for so many entries: few different sizes, up to a quarter too many."""
    step = max(_SPAN, 1 << max(0, entries.bit_length() - 3))
    return -(-entries // step) * step


class StepBuffers:
    """Keys, values and biases of all layers, on one device."""

    def __init__(
        self, size: StepSize, layers: int, shape: LayerShape, like: Tensor, *, spans: int = _BLOCKS
    ) -> None:
        """`like` has the dtype and the device; `spans` bounds the spans of a call."""
        self.size, self.shape, self._layers = size, shape, layers
        wide = (layers, shape.kv_heads, size.rows, size.entries, shape.head_dim)
        # Zeros: a hidden entry has no weight, but no weight times no number is no number.
        self.keys, self.values = like.new_zeros(wide), like.new_zeros(wide)
        self.bias = like.new_full((layers, size.rows, size.entries), _HIDDEN)
        long = (layers, shape.kv_heads, size.prefix, shape.head_dim)
        self.prefix_keys, self.prefix_values = like.new_zeros(long), like.new_zeros(long)
        self.prefix_bias = like.new_full((layers, size.prefix), _HIDDEN)
        self._spans = _spans(size.entries, min(spans, _BLOCKS // (size.rows * shape.kv_heads)))
        queries = size.rows * shape.heads // shape.kv_heads
        tiles = -(-queries // _QUERIES) * shape.kv_heads
        self._prefix_spans = _spans(size.prefix, min(spans, _BLOCKS // tiles))
        self._slots = torch.zeros((layers, size.rows), dtype=torch.long, device=like.device)
        place = torch.arange(layers, device=like.device) * (size.rows * size.entries)
        self._layer_starts = place[:, None]

    def fill_prefix(self, views: Sequence[SegmentView]) -> None:
        """Copy the entries that all rows share."""
        used = []
        for layer in range(self._layers):
            keys, values = self.prefix_keys[layer], self.prefix_values[layer]
            used.append(copy_views(views, layer, keys, values))
        self.prefix_bias.copy_(self._hides(used, self.size.prefix))

    def show(self, row: int, used: Sequence[int]) -> None:
        """Show of each layer of a row the first `used` places, and hide the others."""
        self.bias[:, row] = self._hides(used, self.size.entries)

    def _hides(self, used: Sequence[int], places: int) -> Tensor:
        """[L, places]: 0 for the places in use, the bias that hides for the others."""
        ends = upload([[count] for count in used], torch.long, self.bias.device)
        seen = torch.arange(places, device=self.bias.device) < ends
        return torch.where(seen, 0.0, _HIDDEN).to(self.bias.dtype)

    def begin(self, slots: Tensor) -> None:
        """Begin a step that writes a new entry of each layer and row at slots [L, R]."""
        self._slots = slots
        self.bias.view(-1).index_fill_(0, (self._layer_starts + slots).view(-1), 0.0)

    def attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [R, H, D], k and v [R, K, D] of the new tokens to [R, H * D]; caches k and v."""
        rows, kv_heads = self.size.rows, self.shape.kv_heads
        for buffer, new in ((self.keys, keys), (self.values, values)):
            flat = buffer[layer].view(kv_heads, -1, self.shape.head_dim)
            flat.index_copy_(1, self._slots[layer], new.transpose(0, 1))
        packed = queries.view(rows, kv_heads, -1, self.shape.head_dim)
        parts = [self._own(layer, packed)]
        if self.size.prefix:
            parts.append(self._shared(layer, packed))
        return _merged(parts).reshape(rows, -1)

    def _own(self, layer: int, packed: Tensor) -> tuple[Tensor, Tensor]:
        """Over the entries of each row: mixed [R, S, K, G, D] and log-sum-exp [R, S, K, G]."""
        rows, spans = self.size.rows, self._spans
        queries = packed[:, None].expand(-1, spans, -1, -1, -1).flatten(0, 1)
        keys, values = (_cut(part[layer], rows * spans) for part in (self.keys, self.values))
        bias = self.bias[layer].view(rows * spans, 1, 1, -1)
        mixed, weight = _fused(queries, keys, values, bias, self.shape.scale)
        by_row = (rows, spans)
        return torch.unflatten(mixed, 0, by_row), torch.unflatten(weight, 0, by_row)

    def _shared(self, layer: int, packed: Tensor) -> tuple[Tensor, Tensor]:
        """The same over the shared prefix, which all rows read together."""
        spans, kv_heads = self._prefix_spans, self.shape.kv_heads
        stacked = packed.transpose(0, 1).reshape(1, kv_heads, -1, self.shape.head_dim)
        keys, values = (_cut(part[layer], spans) for part in (self.prefix_keys, self.prefix_values))
        bias = self.prefix_bias[layer].view(spans, 1, 1, -1)
        queries = stacked.expand(spans, -1, -1, -1)
        mixed, weight = _fused(queries, keys, values, bias, self.shape.scale)
        by_row = (self.size.rows, -1)
        mixed = torch.unflatten(mixed, 2, by_row).permute(2, 0, 1, 3, 4)
        return mixed, torch.unflatten(weight, 2, by_row).permute(2, 0, 1, 3)


def copy_views(views: Sequence[SegmentView], layer: int, keys: Tensor, values: Tensor) -> int:
    """Copy what views show of a layer into keys and values [K, places, D]; how much that is."""
    end = 0
    for view in views:
        block = view.segment.layers[layer].whole
        count = block.length - view.unseen
        if count > 0:
            keys[:, end : end + count] = block.keys[:, :count]
            values[:, end : end + count] = block.values[:, :count]
            end += count
    return end


def _spans(places: int, most: int) -> int:
    """The most spans of equal length, none too short."""
    units = places // _SPAN
    return max((n for n in range(1, max(1, most) + 1) if units and units % n == 0), default=1)


def _cut(entries: Tensor, count: int) -> Tensor:
    """[K, ..., D] with all places in order as `count` views of equal length: [count, K, E, D]."""
    return entries.view(entries.shape[0], count, -1, entries.shape[-1]).transpose(0, 1)


def _fused(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """q [B, K, M, D] over k, v [B, K, E, D]: mixed [B, K, M, D] and log-sum-exp [B, K, M]."""
    if queries.device.type == "cpu":
        mixed, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries, keys, values, 0.0, False, attn_mask=bias, scale=scale
        )
    else:
        shown = bias.expand(*queries.shape[:3], -1)
        mixed, weight, _, _ = torch.ops.aten._scaled_dot_product_efficient_attention(
            queries, keys, values, shown, True, 0.0, False, scale=scale
        )
    # The kernel of a GPU pads the sums to a multiple of its tile.
    return mixed, weight.view(*mixed.shape[:2], -1)[..., : mixed.shape[2]]


def _merged(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Spans of mixed [R, S, K, G, D] with their log-sum-exp, as one: [R, K, G, D]."""
    mixed, weights = (
        torch.cat(each, 1) if len(each) > 1 else each[0] for each in zip(*parts, strict=True)
    )
    if mixed.shape[1] == 1:
        return mixed[:, 0]
    return (mixed * torch.softmax(weights, 1)[..., None]).sum(1).to(mixed.dtype)
