"""Workers that decode in lockstep and read each other's blocks of the KV cache.

A block holds a run of tokens as if it began at position 0. A worker sees blocks in some order, its
own last. Keys are never moved for it: RoPE depends on differences of positions alone, so the query
is rotated by the shift between where its own block stands and where the other one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Network
from forethought.engine.attention.decode import Partial, attend_piece, by_head
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import slices_by_head
from forethought.engine.meter import Meter


@dataclass(frozen=True)
class BlockView:
    """The blocks that a worker sees, in order; it writes into the last one."""

    blocks: tuple[SequenceCache, ...]

    @property
    def own(self) -> SequenceCache:
        """The block that the worker writes into."""
        return self.blocks[-1]

    @property
    def shifts(self) -> list[int]:
        """For each block, the positions from its start to the start of the worker's own block."""
        starts = list(accumulate((one.next for one in self.blocks[:-1]), initial=0))
        return [starts[-1] - start for start in starts]

    def lengths(self) -> tuple[float, ...]:
        """Entries that attention visits in each layer."""
        return tuple(map(sum, zip(*(one.lengths() for one in self.blocks), strict=True)))


class SharedAttention:
    """The attention of one pass: all workers write their entries before any of them attends."""

    def __init__(self, network: Network, views: Sequence[BlockView], counts: Sequence[int]) -> None:
        self._network = network
        self._views = views
        self._counts = counts
        self._shifts = [view.shifts for view in views]

    def __call__(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q [N, H, D], k [N, K, D], v [N, K, V] of all new tokens to [N, H * V]."""
        for view, span in zip(self._views, self._spans(), strict=True):
            view.own.append(layer, keys[span], values[span])
        rows = zip(self._views, self._shifts, self._spans(), strict=True)
        done = [self._row(layer, queries[span], view, shifts) for view, shifts, span in rows]
        return torch.cat(done)

    def _row(self, layer: int, queries: Tensor, view: BlockView, shifts: Sequence[int]) -> Tensor:
        """One worker's queries [N, H, D], rotated at the positions of its own block."""
        shape, found = self._network.shape.layers[layer], list[Partial]()
        for block, shift in zip(view.blocks, shifts, strict=True):
            if not block.lengths()[layer]:
                continue
            moved = queries
            if shift:
                turns = torch.full((len(queries),), shift, device=queries.device)
                moved = self._network.rotate(layer, queries, turns)
            found.append(_attended(moved, block, layer, shape, own=block is view.own))
        whole = found[0]
        for part in found[1:]:
            whole = whole.merged(part)
        mixed = whole.mixed.view(shape.kv_heads, len(queries), -1, whole.mixed.shape[-1])
        return mixed.transpose(0, 1).reshape(len(queries), -1)

    def _spans(self) -> Iterator[slice]:
        ends = list(accumulate(self._counts, initial=0))
        return (slice(*pair) for pair in pairwise(ends))


def _attended(
    queries: Tensor, block: SequenceCache, layer: int, shape: LayerShape, *, own: bool
) -> Partial:
    """Queries [N, H, D] over the entries of a block; causal among the newest of their own."""
    count, per, parts = len(queries), shape.heads // shape.kv_heads, []
    for kv in slices_by_head(block, layer, shape.kv_heads):
        first, stop, _ = kv.heads.indices(shape.kv_heads)
        mine = queries[:, first * per : stop * per].reshape(count, stop - first, per, -1)
        packed = mine.transpose(0, 1).flatten(1, 2)  # [K, N * G, D]
        hidden = None
        if own and count > 1:
            entries = kv.keys.shape[1]
            hidden = torch.ones(count, entries, dtype=torch.bool).triu(entries - count + 1)
            hidden = hidden.repeat_interleave(per, 0)[None]
        parts.append(attend_piece(packed, kv.keys, kv.values, shape, hidden))
    return by_head(parts)


@torch.inference_mode()
def forward_views(
    network: Network, meter: Meter, views: Sequence[BlockView], tokens: Sequence[Sequence[int]]
) -> Tensor:
    """Decode new tokens of every worker in one pass; logits [W, V] after the last one of each."""
    counts = [len(own) for own in tokens]
    positions = [place for view, new in zip(views, counts, strict=True)
                 for place in view.own.advance(new)]  # fmt: skip
    # All new tokens have their places now, so views stand where they end after this pass.
    attend = SharedAttention(network, views, counts)
    ends = [end - 1 for end in accumulate(counts)]
    named = (torch.tensor(part, device=network.device)
             for part in ([one for own in tokens for one in own], positions, ends))  # fmt: skip
    packed, places, rows = named
    logits = network.forward(packed, places, attend, phase="decode", logits_at=rows)
    held = list({id(one): one for view in views for one in view.blocks}.values())
    weights = network.weight_bytes("decode", None, sum(counts))
    spans = [(tuple(seen - new for seen in view.lengths()), new)
             for view, new in zip(views, counts, strict=True)]  # fmt: skip
    meter.forward(network.shape, weights, spans, len(views), None)
    meter.read_cache(_entry_bytes(network, held))
    meter.track_peak(held)
    return logits


def move_block(network: Network, block: SequenceCache, onto: SequenceCache) -> None:
    """Append a block's entries to another block, at whose end they stand from then on."""
    start, count = onto.next, block.next
    for layer in range(len(block.tail.layers)):
        entries = block.tail.layers[layer]
        keys, values = (part.transpose(0, 1) for part in (entries.keys, entries.values))
        turns = torch.full((count,), start, device=keys.device)
        onto.append(layer, network.rotate(layer, keys, turns) if start else keys, values)
    onto.advance(count)


def check_shareable(network: Network) -> None:
    """Raise UnsupportedModelError for a model whose attention looks at absolute places."""
    if any(layer.window is not None for layer in network.shape.layers):
        raise UnsupportedModelError(
            "workers that share a cache see blocks in orders of theirs, and this model has layers "
            "with a sliding window",
            "use a model with full attention in every layer",
        )


def _entry_bytes(network: Network, blocks: Sequence[SequenceCache]) -> int:
    """Bytes of the keys and values of blocks that a pass reads once."""
    sizes = [2 * network.dtype.itemsize * one.kv_heads * one.head_dim
             for one in network.shape.layers]  # fmt: skip
    totals = map(sum, zip(*(one.lengths() for one in blocks), strict=True))
    return int(sum(size * total for size, total in zip(sizes, totals, strict=True)))
