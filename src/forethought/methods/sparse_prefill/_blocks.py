"""Block-sparse attention: a tile of queries sees blocks of keys of its own choice.

A tile holds some tokens with all query heads of one KV head. Borders of tiles and blocks depend on
the place in the sequence alone, so a prefill in chunks of whole tiles equals one in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._packing import packed_rows
from forethought.models.hardware.processor import widened
from forethought.models.hardware.sliced_task import pause

_SCORE_BYTES = 4 << 20  # scores against block means, computed at once
_WIDTH_STEP = 128
"""Columns of a tile are a multiple of this, so long prompts need few compiled products."""


@dataclass(frozen=True)
class BlockRule:
    """The sizes of tiles and blocks, and the blocks that a tile sees."""

    tile: int
    """Tokens of a tile."""
    block: int
    """Keys of a block."""
    alpha: float
    """Smallest energy of a chosen block, as a share of the tile's largest."""
    sinks: int
    """First blocks, which every tile sees."""
    window: int
    """Blocks that a tile sees before and with its first token; it sees all blocks after them."""
    dense_from: int
    """Position from which tiles see all blocks."""
    corrects: bool
    """Whether a dropped block attends as one key: the mean of its keys, with that of its values."""


def attend_blocks(view: LayerView, rule: BlockRule) -> SparseOutput:
    """Attention of the view's queries, its newest tokens, over the blocks that each tile sees."""
    kv_heads, entries, _ = view.keys.shape
    length, heads, _ = view.queries.shape
    first, groups = entries - length, heads // kv_heads
    keys, values = widened(view.keys), widened(view.values)
    out = view.queries.new_empty((length, heads, values.shape[-1]))
    pairs = 0.0
    for head in range(kv_heads):
        held = _Held(keys[head], values[head], rule.block)
        scratch = keys.new_empty(rule.tile * groups * held.most)
        chosen = chosen_blocks(view, head, held.mean_keys, rule)
        for span, seen in zip(_tiles(first, entries, rule.tile), chosen.tolist(), strict=True):
            rows = slice(span.start - first, span.stop - first)
            columns = held.columns(seen, span.stop, rule.corrects)
            own = packed_rows(view, head, rows)
            mixed = _attend_tile(own, columns, view.shape.softcap, scratch)
            out[rows, head * groups : (head + 1) * groups] = mixed
            pairs += columns.pairs(rows.stop - rows.start)
            pause()
        pairs += _scored_pairs(first, entries, rule) / 2
    return SparseOutput(out.flatten(1), pairs / kv_heads)


def chosen_blocks(view: LayerView, head: int, means: Tensor, rule: BlockRule) -> Tensor:
    """[tiles, blocks] on the CPU: whether a tile of the queries of one KV head sees a block.

    `means` [n, D] are those of the keys of all complete blocks.
    """
    entries = view.keys.shape[1]
    first = entries - len(view.queries)
    spans = list(_tiles(first, entries, rule.tile))
    count = -(-entries // rule.block)
    energies = block_energies(view, head, means, rule).cpu()
    energies = F.pad(energies, (0, count - len(means)))
    starts, stops = (
        torch.tensor([getattr(span, end) for span in spans])[:, None] for end in ("start", "stop")
    )
    block = torch.arange(count)
    complete = (block + 1) * rule.block <= stops
    chosen = complete & (energies >= rule.alpha * energies.amax(1, keepdim=True))
    near = block > starts // rule.block - rule.window
    forced = (block < rule.sinks) | near | (starts >= rule.dense_from)
    return (chosen | forced) & (block * rule.block < stops)


def block_energies(view: LayerView, head: int, means: Tensor, rule: BlockRule) -> Tensor:
    """[tiles, n]: sums of exponentials of the scores of a tile's queries against block means.

    A query counts for the blocks whose first key it sees, and a tile scores the blocks that are
    complete at its end. All exponentials of a tile have its largest score as their origin.
    """
    entries = view.keys.shape[1]
    first = entries - len(view.queries)
    start = first // rule.tile * rule.tile
    wide = torch.promote_types(means.dtype, torch.float32)
    energies = means.new_zeros((-(-(entries - start) // rule.tile), len(means)), dtype=wide)
    groups = view.shape.heads // view.shape.kv_heads
    step = max(1, _SCORE_BYTES // (wide.itemsize * rule.tile * groups * max(1, len(means))))
    for at in range(0, len(energies), step):
        tiles = range(at, min(at + step, len(energies)))
        begin, end = start + tiles.start * rule.tile, start + tiles.stop * rule.tile
        seen = min(len(means), end // rule.block)
        if not seen:
            continue  # no block is complete yet
        own = packed_rows(view, head, slice(max(begin, first) - first, min(end, entries) - first))
        # Whole tiles: queries that are missing count for no block.
        own = F.pad(own, (0, 0, 0, 0, max(0, first - begin), max(0, end - entries)))
        place = torch.arange(begin, end, device=means.device).view(len(tiles), -1)
        place = place.where((place >= first) & (place < entries), -1)
        scores = (own.flatten(0, 1).to(wide) @ means[:seen].to(wide).t()).view(
            len(tiles), rule.tile, groups, seen
        )
        scores.masked_fill_(_uncounted(place, seen, rule.block)[:, :, None], -torch.inf)
        most = scores.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(wide).min)
        energies[at : tiles.stop, :seen] = scores.sub_(most).exp_().sum((1, 2))
    return energies


def _uncounted(place: Tensor, blocks: int, block: int) -> Tensor:
    """[tiles, tile, n] True where a query [tiles, tile] does not count for a block."""
    begin = torch.arange(blocks, device=place.device) * block
    incomplete = begin + block > place.amax(1, keepdim=True) + 1
    return (begin > place[..., None]) | incomplete[:, None]


def block_means(held: Tensor, block: int) -> Tensor:
    """Means [n, D] of the complete blocks of keys or values [E, D], in their dtype."""
    count = held.shape[0] // block
    wide = torch.promote_types(held.dtype, torch.float32)
    return held[: count * block].view(count, block, -1).mean(1, dtype=wide).to(held.dtype)


def _tiles(first: int, entries: int, tile: int) -> Iterator[slice]:
    """The entries of each tile with new tokens."""
    start = first
    while start < entries:
        stop = min((start // tile + 1) * tile, entries)
        yield slice(start, stop)
        start = stop


def _scored_pairs(first: int, entries: int, rule: BlockRule) -> int:
    """Products of new queries with block means."""
    return sum(
        (span.stop - span.start) * (span.stop // rule.block)
        for span in _tiles(first, entries, rule.tile)
    )


@dataclass(frozen=True)
class _Columns:
    """The keys and values that a tile sees; padding follows them."""

    keys: Tensor
    values: Tensor
    own: int
    """Entries; the last of them are the tile's own."""
    means: int
    """Dropped blocks, after the entries."""
    log_block: float

    def pairs(self, rows: int) -> float:
        """Query-key pairs of so many queries."""
        return rows * (self.own - rows + self.means) + rows * (rows + 1) / 2


class _Held:
    """The entries of one KV head, with the means of their blocks."""

    def __init__(self, keys: Tensor, values: Tensor, block: int) -> None:
        self._keys, self._values, self._block = keys, values, block
        self.mean_keys, self.mean_values = block_means(keys, block), block_means(values, block)
        self.most = keys.shape[0] + len(self.mean_keys) + _WIDTH_STEP
        """The most columns of a tile."""
        self._rooms = [held.new_empty((self.most, held.shape[1])) for held in (keys, values)]
        self._zeros = [held.new_zeros((_WIDTH_STEP, held.shape[1])) for held in (keys, values)]

    def columns(self, seen: Sequence[bool], stop: int, corrects: bool) -> _Columns:
        """The entries of the blocks that a tile with this end sees, and the means of the others."""
        runs = list(_runs(seen, self._block, stop))
        own = sum(run.stop - run.start for run in runs)
        hidden = range(stop // self._block)
        dropped = [block for block in hidden if not seen[block]] if corrects else []
        keys, values = (self._gathered(side, runs, dropped, own) for side in (0, 1))
        return _Columns(keys, values, own, len(dropped), math.log(self._block))

    def _gathered(
        self, side: int, runs: Sequence[slice], dropped: Sequence[int], own: int
    ) -> Tensor:
        held = (self._keys, self._values)[side]
        means = (self.mean_keys, self.mean_values)[side]
        used = own + len(dropped)
        padding = self._zeros[side][: -used % _WIDTH_STEP]
        parts = [held[run] for run in runs]
        if dropped:
            parts.append(means[torch.tensor(dropped, device=means.device)])
        room = self._rooms[side][: used + len(padding)]
        return torch.cat([*parts, padding], out=room)


def _runs(seen: Sequence[bool], block: int, stop: int) -> Iterator[slice]:
    """Runs of adjacent entries that are seen, ascending; the last one ends at `stop`."""
    edges = [i for i, pair in enumerate(pairwise([False, *seen, False])) if pair[0] != pair[1]]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield slice(start * block, min(end * block, stop))


def _attend_tile(
    queries: Tensor, columns: _Columns, softcap: float | None, scratch: Tensor
) -> Tensor:
    """One tile of one KV head: queries [T, G, D] to [T, G, V]."""
    rows, groups, _ = queries.shape
    size = rows * groups, len(columns.keys)
    scores = scratch[: size[0] * size[1]].view(size)
    torch.mm(queries.flatten(0, 1), columns.keys.t(), out=scores)
    if softcap is not None:
        scores.div_(softcap).tanh_().mul_(softcap)
    by_query = scores.view(rows, groups, -1)
    own, used = columns.own, columns.own + columns.means
    future = scores.new_full((rows, rows), -torch.inf).triu_(1)
    by_query[..., own - rows : own].add_(future[:, None])
    # As many equal keys as the block has: log(block) more than one of them.
    by_query[..., own:used].add_(columns.log_block)
    by_query[..., used:] = -torch.inf
    weights = torch.softmax(scores, -1, out=scores)
    return torch.mm(weights, columns.values).view(rows, groups, -1)
