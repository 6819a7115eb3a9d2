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
from forethought.methods.sparse_prefill._packing import joined, packed
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
    queries = packed(view, kv_heads)
    first = entries - len(view.queries)
    keys, values = widened(view.keys), widened(view.values)
    out = queries.new_empty((*queries.shape[:3], values.shape[-1]))
    pairs = 0.0
    for head, own in enumerate(queries):
        held = _Held(keys[head], values[head], rule.block)
        chosen = chosen_blocks(own, held.mean_keys, entries, rule)
        for rows, seen in zip(_tiles(first, entries, rule.tile), chosen.tolist(), strict=True):
            mine = slice(rows.start - first, rows.stop - first)
            columns = held.columns(seen, rows.stop, rule.corrects)
            _attend_tile(own[mine], columns, view.shape.softcap, out[head][mine])
            pairs += columns.pairs(mine.stop - mine.start)
            pause()
        pairs += _scored_pairs(first, entries, rule) / 2
    return SparseOutput(joined(out, view), pairs / kv_heads)


def chosen_blocks(queries: Tensor, means: Tensor, entries: int, rule: BlockRule) -> Tensor:
    """[tiles, blocks] on the CPU: whether a tile of one head's queries [T, G, D] sees a block.

    `means` [n, D] are those of the keys of all complete blocks.
    """
    first = entries - len(queries)
    spans = list(_tiles(first, entries, rule.tile))
    count = -(-entries // rule.block)
    energies = F.pad(block_energies(queries, means, entries, rule).cpu(), (0, count - len(means)))
    starts, stops = (
        torch.tensor([getattr(span, end) for span in spans])[:, None] for end in ("start", "stop")
    )
    block = torch.arange(count)
    complete = (block + 1) * rule.block <= stops
    chosen = complete & (energies >= rule.alpha * energies.amax(1, keepdim=True))
    near = block > starts // rule.block - rule.window
    forced = (block < rule.sinks) | near | (starts >= rule.dense_from)
    return (chosen | forced) & (block * rule.block < stops)


def block_energies(queries: Tensor, means: Tensor, entries: int, rule: BlockRule) -> Tensor:
    """[tiles, n]: sums of exponentials of the scores of a tile's queries against block means.

    A query counts for the blocks whose first key it sees, and a tile scores the blocks that are
    complete at its end. All exponentials of a tile have its largest score as their origin.
    """
    first = entries - len(queries)
    front, back = first % rule.tile, -entries % rule.tile
    padded = F.pad(queries, (0, 0, 0, 0, front, back)).view(-1, rule.tile, *queries.shape[1:])
    wide = torch.promote_types(queries.dtype, torch.float32)
    energies = means.new_zeros((len(padded), len(means)), dtype=wide)
    row_bytes = wide.itemsize * rule.tile * queries.shape[1] * max(1, len(means))
    step = max(1, _SCORE_BYTES // row_bytes)
    for start in range(0, len(padded), step):
        tiles = slice(start, min(start + step, len(padded)))
        begins = first - front + torch.arange(tiles.start, tiles.stop) * rule.tile
        place = (begins[:, None] + torch.arange(rule.tile)).to(queries.device)  # [tiles, tile]
        place = place.where((place >= first) & (place < entries), -1)
        seen = min(len(means), (int(begins[-1]) + rule.tile) // rule.block)
        if not seen:
            continue  # no block is complete yet
        own = padded[tiles].to(wide) @ means[:seen].to(wide).t()  # [tiles, tile, G, n]
        hidden = _uncounted(place, seen, rule.block).to(own.device)
        own.masked_fill_(hidden[:, :, None], -torch.inf)
        most = own.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(wide).min)
        energies[tiles, :seen] = own.sub_(most).exp_().sum((1, 2))
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
        most = keys.shape[0] + len(self.mean_keys) + _WIDTH_STEP
        self._rooms = [held.new_empty((most, held.shape[1])) for held in (keys, values)]
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


def _attend_tile(queries: Tensor, columns: _Columns, softcap: float | None, out: Tensor) -> None:
    """One tile: queries [T, G, D], out [T, G, V]."""
    rows, groups, _ = queries.shape
    scores = torch.mm(queries.flatten(0, 1), columns.keys.t())
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
    torch.mm(weights, columns.values, out=out.view(rows * groups, -1))
