"""Attention of one new token a row by one call for all rows, for devices with products to spare.

The entries of all rows stand side by side, and a mask hides from each row what is not its own.
Most of the products come to nothing; but a call for every row would leave a GPU waiting for the
next one most of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.cache.sequence_cache import SequenceCache, segments_of

_MOST_PAIRS = 1 << 23  # of rows and entries in one call: bounds the mask
_ALIGNED = 16  # entries that the fused kernels want a mask's rows to be a multiple of

Span = tuple[int, int, int]
"""A row, and the entries from where to where it sees."""


def fits(rows: Sequence[SequenceCache], layer: int, shape: LayerShape) -> bool:
    """Whether a layer of these rows can be attended to so: no windows, no differing heads."""
    plain = shape.window is None and shape.softcap is None
    return plain and not any(row.ragged(layer) for row in rows)


def attend_jointly(
    queries: Tensor, rows: Sequence[SequenceCache], layer: int, shape: LayerShape
) -> Tensor:
    """One new token for each row, already cached: queries [R, H, D] to [R, H * V]."""
    keys, values, spans = _side_by_side(rows, layer)
    entries = sum(part.shape[1] for part in keys)
    if len(rows) > 1 and len(rows) * entries > _MOST_PAIRS:
        half = len(rows) // 2
        parts = (slice(None, half), slice(half, None))
        return torch.cat([attend_jointly(queries[p], rows[p], layer, shape) for p in parts])
    groups = shape.heads // shape.kv_heads
    packed = queries.view(len(rows), shape.kv_heads, groups, -1).transpose(0, 1).flatten(1, 2)
    mixed = F.scaled_dot_product_attention(
        packed[None],
        _joined(keys)[None],
        _joined(values)[None],
        attn_mask=_mask(spans, groups, entries, queries.dtype, queries.device),
        scale=shape.scale,
    )
    return mixed.view(shape.kv_heads, len(rows), -1).transpose(0, 1).flatten(1)


def _side_by_side(
    rows: Sequence[SequenceCache], layer: int
) -> tuple[list[Tensor], list[Tensor], tuple[Span, ...]]:
    """Keys and values [K, E, D] of every segment that a row sees, each once, and who sees what."""
    keys: list[Tensor] = []
    values: list[Tensor] = []
    spans: list[Span] = []
    starts: dict[int, int] = {}
    end = 0
    for place, row in enumerate(rows):
        unseen = [*(view.unseen for view in row.views), 0]
        for segment, hidden in zip(segments_of(row), unseen, strict=True):
            block = segment.layers[layer].whole
            if block.length <= hidden:
                continue
            if id(segment) not in starts:
                starts[id(segment)] = end
                keys.append(block.keys)
                values.append(block.values)
                end += block.length
            start = starts[id(segment)]
            spans.append((place, start, start + block.length - hidden))
    return keys, values, tuple(spans)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


@lru_cache(maxsize=1)  # the layers of a step mostly see alike
def _mask(
    spans: tuple[Span, ...], groups: int, entries: int, dtype: torch.dtype, device: torch.device
) -> Tensor | None:
    """[R * G, E]: what is added to the scores; None where every row sees everything."""
    rows = spans[-1][0] + 1
    seen = torch.zeros((rows, -(-entries // _ALIGNED) * _ALIGNED), dtype=torch.bool)
    for row, start, stop in spans:
        seen[row, start:stop] = True
    if bool(seen[:, :entries].all()):
        return None
    hidden = seen.logical_not_().to(device).repeat_interleave(groups, 0)
    mask = torch.zeros(hidden.shape, dtype=dtype, device=device)
    return mask.masked_fill_(hidden, -torch.inf)[:, :entries]
