"""Block-sparse attention: a tile of queries sees blocks of keys of its own choice.

A tile holds some tokens with all query heads of one KV head. Borders of tiles and blocks depend on
the place in the sequence alone, so a prefill in chunks of whole tiles equals one in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._packing import packed_rows
from forethought.models.compiled.available import kernels_for
from forethought.models.compiled.kernels import TILE_KEYS, Kernels, SeenBlocks
from forethought.models.hardware.processor import multiplies_bf16, widened
from forethought.models.hardware.sliced_task import pause
from forethought.numerics.late_torch import F, torch

if TYPE_CHECKING:
    from torch import Tensor

_SCORE_BYTES = 4 << 20  # scores against block means, computed at once
_SPAN = 512  # tokens between two pauses of the compiled kernels
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
    entries = view.keys.shape[1]
    means = torch.stack([block_means(held, rule.block) for held in view.keys])
    heads = range(len(view.keys))
    chosen = torch.stack([chosen_blocks(view, head, means[head], rule) for head in heads])
    spans = list(_tiles(entries - len(view.queries), entries, rule.tile))
    made = kernels_for(view.queries, view.values, view.shape) if multiplies_bf16() else None
    if made is not None and _fits(made, view, rule):
        out = _compiled(made, view, means, chosen, rule)
    else:
        out = torch.cat([_head(view, head, means[head], chosen[head], rule) for head in heads], 1)
    return SparseOutput(out.flatten(1), _pairs(chosen, spans, rule))


def _fits(made: Kernels, view: LayerView, rule: BlockRule) -> bool:
    """Whether the compiled kernels can attend over these blocks."""
    groups = view.shape.heads // view.shape.kv_heads
    return not rule.block % TILE_KEYS and not rule.tile * groups % (4 * made.lanes)


def _compiled(
    made: Kernels, view: LayerView, means: Tensor, chosen: Tensor, rule: BlockRule
) -> Tensor:
    """[T, H * D], by the compiled kernels; `chosen` is [K, tiles, blocks]."""
    keys, values = view.keys.contiguous(), view.values.contiguous()
    mean_values = torch.stack([block_means(held, rule.block) for held in values])
    corrected = (means, made.pair_values(mean_values)) if rule.corrects else (None, None)
    paired, seen = made.pair_values(values), chosen.byte()
    first = keys.shape[1] - len(view.queries)
    out = view.queries.new_empty(len(view.queries), view.shape.heads * values.shape[-1])
    spans = list(_tiles(first, keys.shape[1], rule.tile))
    # A part of a tile at the start runs alone.
    starts = [0, *range(1 if first % rule.tile else 0, len(spans), max(1, _SPAN // rule.tile))]
    for start, stop in pairwise([*dict.fromkeys(starts), len(spans)]):
        rows = slice(spans[start].start - first, spans[stop - 1].stop - first)
        own = seen[:, start:stop].contiguous()
        blocks = SeenBlocks(own, rule.tile, rule.block, *corrected)
        before = first + rows.start
        queries = view.queries[rows]
        made.attend_prefill(queries, view.shape.scale, keys, paired, before, out[rows], blocks)
        pause()
    return out


def _head(view: LayerView, head: int, means: Tensor, chosen: Tensor, rule: BlockRule) -> Tensor:
    """[T, G, V] of one KV head; `chosen` is [tiles, blocks]."""
    entries, first = view.keys.shape[1], view.keys.shape[1] - len(view.queries)
    keys, values = widened(view.keys[head]), widened(view.values[head])
    held = _Held(keys, values, widened(means), rule.block)
    groups = view.shape.heads // view.shape.kv_heads
    scratch = keys.new_empty(rule.tile * groups * held.most)
    parts = []
    for span, seen in zip(_tiles(first, entries, rule.tile), chosen.tolist(), strict=True):
        own = packed_rows(view, head, slice(span.start - first, span.stop - first))
        columns = held.columns(seen, span.stop, rule.corrects)
        parts.append(_attend_tile(own, columns, view.shape.softcap, scratch))
        pause()
    return torch.cat(parts).to(view.queries.dtype)


def _pairs(chosen: Tensor, spans: Sequence[slice], rule: BlockRule) -> float:
    """Query-key pairs of tiles that see `chosen` [K, tiles, blocks], averaged over KV heads."""
    starts, stops = _ends(spans)
    rows = stops - starts
    begin = torch.arange(chosen.shape[-1]) * rule.block
    own = (chosen * (stops - begin).clamp(0, rule.block)).sum(-1, keepdim=True)
    complete = begin + rule.block <= stops
    means = (complete & ~chosen).sum(-1, keepdim=True) * rule.corrects
    pairs = rows * (own - rows + means) + rows * (rows + 1) / 2
    return float(pairs.sum()) / len(chosen) + float((rows * (stops // rule.block)).sum()) / 2


def _ends(spans: Sequence[slice]) -> tuple[Tensor, Tensor]:
    """Starts and stops [tiles, 1]."""
    ends = torch.tensor([(span.start, span.stop) for span in spans])
    return ends[:, :1], ends[:, 1:]


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
    starts, stops = _ends(spans)
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


class _Held:
    """The entries of one KV head, with the means of their blocks."""

    def __init__(self, keys: Tensor, values: Tensor, mean_keys: Tensor, block: int) -> None:
        self._keys, self._values, self._block = keys, values, block
        self._mean_keys, self._mean_values = mean_keys, block_means(values, block)
        self.most = keys.shape[0] + len(mean_keys) + _WIDTH_STEP
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
        means = (self._mean_keys, self._mean_values)[side]
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
