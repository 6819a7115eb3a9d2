"""Decode attention: one new token per sequence over the segments of its cache.

The fused kernel returns output and log-sum-exp for each segment, and these are merged. So a segment
that many sequences share is read once for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.cache.segment import SegmentView
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.hardware.threads import most_threads

_LEAST_SPAN = 256  # minimum entries per thread if there are fewer heads than threads


@dataclass(frozen=True)
class Partial:
    """Attention over some of the entries: its output, and the log-sum-exp of its scores."""

    mixed: Tensor
    """[K, M, V]."""
    weight: Tensor
    """[K, M] float32 log-sum-exp of the scores."""

    def doubled(self) -> Partial:
        """The same for every query twice."""
        return Partial(torch.cat([self.mixed] * 2, 1), torch.cat([self.weight] * 2, 1))

    def merged(self, other: Partial) -> Partial:
        """Attention over the entries of both.

        In float64: float32 versions round differently at the end of a tensor, so a result would
        depend on the number of sequences that are merged together.
        """
        own, theirs = self.weight.double(), other.weight.double()
        # sigmoid(a - b) = exp(a) / (exp(a) + exp(b)): the weight of self.
        share = torch.sigmoid(own - theirs)[..., None].to(self.mixed.dtype)
        weight = torch.logaddexp(own, theirs).to(self.weight.dtype)
        return Partial(torch.lerp(other.mixed, self.mixed, share), weight)


def attend_piece(
    queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape, hidden: Tensor | None
) -> Partial:
    """queries [K, M, D] over keys [K, E, D] without the `hidden` ones [K or 1, M, E]."""
    if hidden is None and shape.softcap is None and queries.device.type == "cpu":
        mixed, weight = _fused(queries, keys, values, shape.scale)
        whole = weight[0] if len(weight) == 1 else weight.double().logsumexp(0).to(weight.dtype)
        return Partial(_joined(mixed, weight), whole)
    scores = torch.matmul(queries, keys.transpose(1, 2))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).mul_(shape.scale)
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    if hidden is not None:
        scores.masked_fill_(hidden.to(scores.device), -torch.inf)
    weight = scores.logsumexp(-1)
    weights = (scores - weight[..., None].nan_to_num(neginf=0.0)).exp_().to(values.dtype)
    return Partial(torch.matmul(weights, values), weight)


def _fused(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The fused kernel over S spans of the entries: output [S, K, M, V], log-sum-exp [S, K, M].

    The kernel gives each thread whole heads, so with three heads on two threads one thread waits.
    Entries are therefore split into as many spans as keep all threads busy. Spans are views of
    equal length that may overlap; a mask hides the overlap from the later one. Their number depends
    on the maximum number of threads, not the current one, because other spans round differently.
    """
    heads, entries = keys.shape[:2]
    count = _spans(heads, entries, max(2, most_threads()))
    step = entries // count
    length = entries - step * (count - 1)
    mixed, weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries.expand(count, -1, -1, -1),
        _cut(keys, count, step, length),
        _cut(values, count, step, length),
        0.0,
        False,
        attn_mask=_seen_before(count, length, length - step, keys.dtype),
        scale=scale,
    )
    return mixed, weight.view(mixed.shape[:3])


def _cut(entries: Tensor, count: int, step: int, length: int) -> Tensor:
    """[K, E, D] as `count` views of `length` entries, `step` apart: [count, K, length, D]."""
    heads, size = entries.shape[0], entries.shape[2]
    by_head, by_entry, by_value = entries.stride()
    strides = (step * by_entry, by_head, by_entry, by_value)
    return entries.as_strided((count, heads, length, size), strides, entries.storage_offset())


def _joined(mixed: Tensor, weight: Tensor) -> Tensor:
    """Merge the outputs [S, K, M, V] of spans: [K, M, V]; in float64, as `Partial.merged`."""
    if len(mixed) == 1:
        return mixed[0]
    shares = torch.softmax(weight.double(), 0)[..., None]
    return (mixed * shares).sum(0).to(mixed.dtype)


def _spans(heads: int, entries: int, threads: int) -> int:
    """The fewest spans that load every thread equally, and that are long enough to pay."""
    return max(1, min(threads // math.gcd(heads, threads), entries // _LEAST_SPAN))


@lru_cache(maxsize=8)
def _seen_before(count: int, length: int, overlap: int, dtype: torch.dtype) -> Tensor | None:
    """[count, 1, 1, length]: -inf for entries that the previous span holds too."""
    if not overlap or count == 1:
        return None
    mask = torch.zeros((count, 1, 1, length), dtype=dtype)
    mask[1:, ..., :overlap] = -torch.inf
    return mask


def attend_step(
    queries: Tensor, rows: Sequence[SequenceCache], layer: int, shape: LayerShape
) -> Tensor:
    """One new token per sequence, already cached: queries [R, H, D] to [R, H * V].

    One product over each shared frozen segment serves all sequences that see it.
    """
    packed = queries.view(len(rows), shape.kv_heads, -1, queries.shape[-1])  # [R, K, G, D]
    groups = _same_views(rows)
    if len(groups) == 1:
        return _attend_group(packed, rows, layer, shape)
    order = [i for group in groups for i in group]
    in_order = order == list(range(len(rows)))
    done = [
        _attend_group(
            packed[group[0] : group[-1] + 1] if in_order else packed[group],
            [rows[i] for i in group],
            layer,
            shape,
        )
        for group in groups
    ]
    if in_order:
        return torch.cat(done)
    return torch.cat(done)[torch.tensor(order, device=queries.device).argsort()]


def _fusible(queries: Tensor, shape: LayerShape) -> bool:
    """Whether the fused kernel supports this layer on this device."""
    return shape.window is None and shape.softcap is None and queries.device.type == "cpu"


def _same_views(rows: Sequence[SequenceCache]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(id(view) for view in row.views), []).append(index)
    return list(groups.values())


def _attend_group(
    packed: Tensor, rows: Sequence[SequenceCache], layer: int, shape: LayerShape
) -> Tensor:
    """Sequences with the same views: packed [R, K, G, D] to [R, H * V]."""
    count, kv_heads, per, _ = packed.shape
    own = rows[0].tail.layers[layer]
    if count == 1 and not rows[0].views and not own.ragged and _fusible(packed, shape):
        return _joined(*_fused(packed[0], own.keys, own.values, shape.scale)).reshape(1, -1)
    total = _attend_tails(packed, rows, layer, shape)
    stacked = packed.transpose(0, 1).reshape(kv_heads, count * per, -1)
    if count == 1 and rows[0].views:
        # The kernel rounds the queries of one sequence differently from those of several, so a
        # sequence that is left alone doubles its queries.
        stacked = torch.cat([stacked, stacked], 1)
        total = total.doubled()
    for view in rows[0].views:
        if view.lengths()[layer] > 0:
            newest = [row.next - 1 for row in rows] * (stacked.shape[1] // (count * per))
            total = total.merged(attend_view(stacked, view, layer, shape, newest))
    mixed = total.mixed[:, : count * per].reshape(kv_heads, count, -1)
    return mixed.transpose(0, 1).reshape(count, -1)


def attend_view(
    queries: Tensor, view: SegmentView, layer: int, shape: LayerShape, newest: list[int]
) -> Partial:
    """Queries [K, M, D] at the positions `newest`, over the visible entries of a segment."""
    where = view.segment.head_positions(layer, shape.kv_heads, view.unseen) if shape.window else []
    done = []
    for part in view.segment.layers[layer].parts():
        seen = part.block.length - view.unseen
        keys, values = part.block.keys[:, :seen], part.block.values[:, :seen]
        hidden = _window_hides(where[part.heads], newest, queries.shape[1], shape)
        done.append(attend_piece(queries[part.heads], keys, values, shape, hidden))
    return by_head(done)


def by_head(parts: list[Partial]) -> Partial:
    """The heads of all parts in one."""
    if len(parts) == 1:
        return parts[0]
    return Partial(torch.cat([p.mixed for p in parts]), torch.cat([p.weight for p in parts]))


def _attend_tails(
    packed: Tensor, rows: Sequence[SequenceCache], layer: int, shape: LayerShape
) -> Partial:
    """Every sequence over its own tail: [K, R * G, V], sequences in order.

    Samples of one prompt have short tails of equal length. Copying their few entries together costs
    less than one call per sequence.
    """
    tails = [row.tail.layers[layer] for row in rows]
    short = tails[0].length < 2 * _LEAST_SPAN  # one span, as for each sequence alone
    alike = len({tail.length for tail in tails}) == 1 and not any(tail.ragged for tail in tails)
    if len(rows) > 1 and _fusible(packed, shape) and short and alike:
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
    own = [
        attend_view(packed[i], SegmentView(row.tail), layer, shape, [row.next - 1])
        for i, row in enumerate(rows)
    ]
    return Partial(torch.cat([p.mixed for p in own], 1), torch.cat([p.weight for p in own], 1))


def _window_hides(
    where: list[Tensor], newest: list[int], queries: int, shape: LayerShape
) -> Tensor | None:
    """[K, queries, E] True where an entry lies outside a query's window."""
    if shape.window is None:
        return None
    at = torch.tensor(newest).repeat_interleave(queries // len(newest))[None, :, None]
    hidden = at - torch.stack(where)[:, None] >= shape.window
    return hidden if bool(hidden.any()) else None
