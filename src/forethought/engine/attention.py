"""Attention of packed tokens over the cached pieces of their rows.

Prefill goes head by head and block by block of queries, each one product, one softmax and
one product over the keys it may see, in memory that stays in the cache: on CPUs about twice
as fast as the fused kernel, whose scores stay in float32. Decoding asks the fused kernel for
output and log-sum-exp of every piece and merges them, so that a piece shared by many rows is
read once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right

from forethought.contracts.records import LayerShape
from forethought.engine.cache import Row

_BLOCK_BYTES = 6 << 20  # scores of one block of queries: stays in the last-level cache
_LEAST_BLOCK, _MOST_BLOCK = 64, 256


@dataclass(frozen=True)
class Visibility:
    """Which entries a query may see, beyond 'none newer than itself'."""

    window: int | None = None
    query_positions: Tensor | None = None
    """[T]; needed with a window."""
    key_positions: Tensor | None = None
    """[E] or [K, E]; needed with a window."""

    def of_head(self, head: int) -> Visibility:
        """What the queries of one key head may see."""
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
        """The first entry that any of these queries may see (0 when heads differ)."""
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
    """Attention of the newest T of E entries, each over itself and all older ones.

    queries [T, H, D], keys [K, E, D], values [K, E, V]; returns [T, H * V].
    """
    if queries.is_cuda and sight.window is None and shape.softcap is None:
        return attend_fused(queries, keys, values, shape)
    length, heads, size = queries.shape
    groups = heads // keys.shape[0]
    # Scaled here, in float32, so that products need no scaling of their own.
    wide = torch.promote_types(queries.dtype, torch.float32)
    packed = (queries.to(wide) * shape.scale).to(queries.dtype)
    packed = packed.view(length, -1, groups, size).transpose(0, 1).contiguous()  # [K, T, G, D]
    out = packed.new_empty((*packed.shape[:3], values.shape[-1]))
    blocks = list(_blocks(length, groups, keys.shape[1], queries.element_size()))
    scratch = packed.new_empty((blocks[0].stop * groups * keys.shape[1],))
    for head in range(len(keys)):
        for block in blocks:
            _attend_block(
                packed[head],
                keys[head],
                values[head],
                shape,
                sight.of_head(head),
                block,
                scratch,
                out[head],
            )
    return out.transpose(0, 1).reshape(length, -1)


def attend_fused(queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape) -> Tensor:
    """The same by torch's fused kernel: no window, no softcap."""
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
    rows = _BLOCK_BYTES // (groups * entries * itemsize) // 32 * 32
    size = max(_LEAST_BLOCK, min(_MOST_BLOCK, rows))
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _attend_block(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    shape: LayerShape,
    sight: Visibility,
    block: slice,
    scratch: Tensor,
    out: Tensor,
) -> None:
    """One key head: queries [T, G, D], keys [E, D], values [E, V], out [T, G, V]."""
    length, groups, _ = queries.shape
    seen = slice(sight.first_key(block), len(keys) - length + block.stop)
    rows, width = block.stop - block.start, seen.stop - seen.start
    scores = scratch[: rows * groups * width].view(rows * groups, width)
    torch.mm(queries[block].flatten(0, 1), keys[seen].t(), out=scores)
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    by_query = scores.view(rows, groups, width)
    by_query[..., -rows:].add_(_future(rows, scores))
    hidden = sight.hidden(block, seen)
    if hidden is not None:
        by_query.masked_fill_(hidden[0], -torch.inf)
    weights = torch.softmax(scores, -1, out=scores)
    torch.mm(weights, values[seen], out=out[block].view(rows * groups, -1))


def _future(rows: int, like: Tensor) -> Tensor:
    return like.new_full((rows, rows), -torch.inf).triu_(1)[:, None]


@dataclass(frozen=True)
class Partial:
    """Attention over some of the entries: what it mixed, and the log of its weight."""

    mixed: Tensor
    """[K, M, V]."""
    weight: Tensor
    """[K, M] float32 log-sum-exp of the scores."""

    def merged(self, other: Partial) -> Partial:
        """Attention over the entries of both."""
        weight = torch.logaddexp(self.weight, other.weight)
        # sigmoid(a - b) = exp(a) / (exp(a) + exp(b)): the share of self in the whole.
        share = torch.sigmoid(self.weight - other.weight)[..., None].to(self.mixed.dtype)
        return Partial(torch.lerp(other.mixed, self.mixed, share), weight)


def attend_piece(
    queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape, hidden: Tensor | None
) -> Partial:
    """queries [K, M, D] over all of keys [K, E, D]; hidden [K or 1, M, E] is left out."""
    if hidden is None and shape.softcap is None and queries.device.type == "cpu":
        mixed, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            queries[None], keys[None], values[None], 0.0, False, scale=shape.scale
        )
        return Partial(mixed[0], weight.view(queries.shape[:2]))
    scores = torch.matmul(queries, keys.transpose(1, 2)).float().mul_(shape.scale)
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    if hidden is not None:
        scores.masked_fill_(hidden, -torch.inf)
    weight = scores.logsumexp(-1)
    weights = (scores - weight[..., None].nan_to_num(neginf=0.0)).exp_().to(values.dtype)
    return Partial(torch.matmul(weights, values), weight)


def attend_step(queries: Tensor, rows: Sequence[Row], layer: int, shape: LayerShape) -> Tensor:
    """One new token for each row, already cached: queries [R, H, D] to [R, H * V].

    Rows that see the same frozen pieces are served by one product over each of them.
    """
    kv_heads = rows[0].tail.layers[layer].keys.shape[0]
    packed = queries.view(len(rows), kv_heads, -1, queries.shape[-1])  # [R, K, G, D]
    if len(rows) == 1 and not rows[0].views and shape.window is None:
        own = rows[0].tail.layers[layer]
        return attend_piece(packed[0], own.keys, own.values, shape, None).mixed.reshape(1, -1)
    groups = _same_views(rows)
    if len(groups) == 1:
        return _attend_group(packed, rows, layer, shape)
    done = [
        _attend_group(packed[group], [rows[i] for i in group], layer, shape) for group in groups
    ]
    order = torch.tensor([i for group in groups for i in group], device=queries.device)
    return torch.cat(done)[order.argsort()]


def _same_views(rows: Sequence[Row]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(id(view) for view in row.views), []).append(index)
    return list(groups.values())


def _attend_group(packed: Tensor, rows: Sequence[Row], layer: int, shape: LayerShape) -> Tensor:
    """Rows with the same views: packed [R, K, G, D] to [R, H * V]."""
    count, kv_heads, per, _ = packed.shape
    total = _attend_tails(packed, rows, layer, shape)
    stacked = packed.transpose(0, 1).reshape(kv_heads, count * per, -1)
    for view in rows[0].views:
        held = view.lengths[layer]
        if not held:
            continue
        entries = view.segment.layers[layer]
        keys, values = entries.keys[:, :held], entries.values[:, :held]
        where = view.segment.positions_at(layer, held) if shape.window else None
        hidden = _window_hides(where, [row.next - 1 for row in rows], per, shape)
        total = total.merged(attend_piece(stacked, keys, values, shape, hidden))
    return total.mixed.view(kv_heads, count, -1).transpose(0, 1).reshape(count, -1)


def _attend_tails(packed: Tensor, rows: Sequence[Row], layer: int, shape: LayerShape) -> Partial:
    """Every row over its own tail: [K, R * G, V], rows in order.

    Samples of one prompt have tails of one length: copying these few entries together costs
    less than a call for each row.
    """
    tails = [row.tail.layers[layer] for row in rows]
    plain = shape.window is None and shape.softcap is None and packed.device.type == "cpu"
    if len(rows) > 1 and plain and len({tail.length for tail in tails}) == 1:
        mixed, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            packed,
            torch.stack([tail.keys for tail in tails]),
            torch.stack([tail.values for tail in tails]),
            0.0,
            False,
            scale=shape.scale,
        )
        both = mixed.transpose(0, 1).flatten(1, 2), weight.transpose(0, 1).flatten(1, 2)
        return Partial(*both)
    own = [_attend_tail(packed[i], row, layer, shape) for i, row in enumerate(rows)]
    return Partial(torch.cat([p.mixed for p in own], 1), torch.cat([p.weight for p in own], 1))


def _attend_tail(queries: Tensor, row: Row, layer: int, shape: LayerShape) -> Partial:
    own = row.tail.layers[layer]
    where = row.tail.positions_at(layer, own.length) if shape.window else None
    hidden = _window_hides(where, [row.next - 1], queries.shape[1], shape)
    return attend_piece(queries, own.keys, own.values, shape, hidden)


def _window_hides(
    where: Tensor | None, queries: list[int], per: int, shape: LayerShape
) -> Tensor | None:
    """[1 or K, queries * per, E] True where an entry lies outside a query's window."""
    if where is None or shape.window is None:
        return None
    at = torch.tensor(queries).repeat_interleave(per)[None, :, None]
    hidden = at - where.reshape(-1, 1, where.shape[-1]) >= shape.window
    return hidden if bool(hidden.any()) else None
