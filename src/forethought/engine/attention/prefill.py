"""Prefill attention: prompt tokens over themselves and all earlier entries.

On CPUs that multiply bf16, the compiled kernel attends. Elsewhere attention runs head by head and
in blocks of queries: a product, a softmax and a product over the visible keys, in memory that stays
in the last-level cache. On CPUs this takes about half the time of torch's fused kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.attention.compiled import attend_prompt
from forethought.models.compiled.available import kernels_for
from forethought.models.hardware.processor import multiplies_bf16, widened
from forethought.models.hardware.sliced_task import pause

_BLOCK_BYTES = 6 << 20  # scores of one block of queries: they stay in the last-level cache
_LEAST_BLOCK, _MOST_BLOCK = 64, 256
_WIDTH_STEP = 256
"""Keys of a block are a multiple of this, so long prompts need few compiled kernels."""


@dataclass(frozen=True)
class Visibility:
    """The entries that a query may see, beyond causality."""

    window: int | None = None
    query_positions: Tensor | None = None
    """[T]; needed with a window."""
    key_positions: Tensor | None = None
    """[E] or [K, E]; needed with a window."""

    def of_head(self, head: int) -> Visibility:
        """The visibility for the queries of one KV head."""
        if self.key_positions is None or self.key_positions.dim() == 1:
            return self
        return replace(self, key_positions=self.key_positions[head])

    def hidden(self, queries: slice, keys: slice) -> Tensor | None:
        """[1 or K, queries, 1, keys] True where the window hides a key, or None."""
        if self.window is None:
            return None
        assert self.query_positions is not None
        assert self.key_positions is not None
        where = self.key_positions[..., keys].reshape(-1, 1, 1, keys.stop - keys.start)
        far = self.query_positions[queries].view(1, -1, 1, 1) - where >= self.window
        return far if bool(far.any()) else None

    def first_key(self, queries: slice) -> int:
        """The first entry that any of these queries may see; 0 if heads differ."""
        if self.window is None:
            return 0
        assert self.query_positions is not None
        assert self.key_positions is not None
        if self.key_positions.dim() == 2:
            return 0
        oldest = int(self.query_positions[queries.start]) - self.window + 1
        return int(torch.searchsorted(self.key_positions, oldest))


def attend_causal(
    queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape, sight: Visibility
) -> Tensor:
    """Causal attention of the newest T of E entries.

    queries [T, H, D], keys [K, E, D], values [K, E, V]; returns [T, H * V].
    """
    if queries.is_cuda and sight.window is None and shape.softcap is None:
        return attend_fused(queries, keys, values, shape)
    made = kernels_for(queries, values, shape) if multiplies_bf16() else None
    if made is not None:
        return attend_prompt(made, queries, keys, values, shape)
    given = queries.dtype
    queries, keys, values = widened(queries), widened(keys), widened(values)
    length, heads, size = queries.shape
    groups, entries = heads // keys.shape[0], keys.shape[1]
    if sight.window is None:  # so that no sum depends on how many entries follow
        keys, values = _padded(keys), _padded(values)
    # Scaled in float32 here, so the products need no scale.
    wide = torch.promote_types(queries.dtype, torch.float32)
    packed = (queries.to(wide) * shape.scale).to(queries.dtype)
    packed = packed.view(length, -1, groups, size).transpose(0, 1).contiguous()  # [K, T, G, D]
    out = packed.new_empty((*packed.shape[:3], values.shape[-1]))
    blocks = list(_blocks(length, groups, entries, queries.element_size()))
    most = max(block.stop - block.start for block in blocks)
    scratch = packed.new_empty((most * groups * keys.shape[1],))
    for head in range(len(keys)):
        for block in blocks:
            _attend_block(
                packed[head],
                keys[head],
                values[head],
                entries,
                shape,
                sight.of_head(head),
                block,
                scratch,
                out[head],
            )
            pause()
    return out.transpose(0, 1).reshape(length, -1).to(given)


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape) -> Tensor:
    """The same with torch's fused kernel: no window, no softcap."""
    # Imported here: it loads torch's compiler, a second that CPU runs do not need.
    from torch.nn.attention.bias import causal_lower_right

    mask = causal_lower_right(queries.shape[0], keys.shape[1])
    groups = queries.shape[1] // keys.shape[0]
    out = F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None],
        keys.repeat_interleave(groups, 0)[None],
        values.repeat_interleave(groups, 0)[None],
        attn_mask=mask,
        scale=shape.scale,
    )
    return out[0].transpose(0, 1).flatten(1)


def _blocks(length: int, groups: int, entries: int, itemsize: int) -> Iterator[slice]:
    """Blocks of the newest `length` entries, counted from the first of them.

    Their borders depend on the place in the sequence alone. So a prefill that continues cached
    entries rounds every sum as a prefill of the whole prompt does.
    """
    start, first = 0, entries - length
    while start < entries:
        size = _MOST_BLOCK
        while size > _LEAST_BLOCK and size * groups * (start + size) * itemsize > _BLOCK_BYTES:
            size //= 2
        stop = start + size
        if stop > first:
            yield slice(max(start, first) - first, min(stop, entries) - first)
        start = stop


def _attend_block(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    entries: int,
    shape: LayerShape,
    sight: Visibility,
    block: slice,
    scratch: Tensor,
    out: Tensor,
) -> None:
    """One KV head: queries [T, G, D], keys [E, D], values [E, V], out [T, G, V].

    Keys and values may have further rows, which no query sees.
    """
    length, groups, _ = queries.shape
    newest = entries - length + block.stop
    seen = slice(sight.first_key(block), min(len(keys), -(-newest // _WIDTH_STEP) * _WIDTH_STEP))
    rows, width = block.stop - block.start, seen.stop - seen.start
    scores = scratch[: rows * groups * width].view(rows * groups, width)
    torch.mm(queries[block].flatten(0, 1), keys[seen].t(), out=scores)
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    by_query = scores.view(rows, groups, width)
    visible = newest - seen.start
    by_query[..., visible - rows : visible].add_(_future(rows, scores))
    by_query[..., visible:] = -torch.inf
    hidden = sight.hidden(block, seen)
    if hidden is not None:
        by_query.masked_fill_(hidden[0], -torch.inf)
    weights = torch.softmax(scores, -1, out=scores)
    torch.mm(weights, values[seen], out=out[block].view(rows * groups, -1))


def _padded(held: Tensor) -> Tensor:
    """Keys or values [K, E, D] with zeros up to a whole number of `_WIDTH_STEP` entries."""
    return F.pad(held, (0, 0, 0, -held.shape[1] % _WIDTH_STEP))


def _future(rows: int, like: Tensor) -> Tensor:
    return like.new_full((rows, rows), -torch.inf).triu_(1)[:, None]
