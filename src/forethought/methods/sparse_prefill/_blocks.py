"""Block-sparse attention: a tile of query rows sees blocks of keys of its own choice.

With G query heads for a KV head, row r of the sequence is head r % G of token r // G. Borders of
tiles and blocks depend on the place in the sequence alone, so a prefill in chunks of whole tiles
equals one in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._packing import packed_rows
from forethought.models.compiled.arguments import SeenBlocks
from forethought.models.compiled.available import kernels_for
from forethought.models.compiled.kernels import TILE_KEYS, Kernels
from forethought.models.hardware.processor import multiplies_bf16, widened
from forethought.models.hardware.sliced_task import pause
from forethought.numerics.late_imports import F, torch

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
    """Rows of a tile."""
    block: int
    """Keys of a block."""
    alpha: float
    """Smallest energy of a chosen block, as a share of the tile's largest."""
    sinks: int
    """First blocks, which every tile sees."""
    window: int
    """Blocks that a tile sees before and with its first token; it sees all blocks after them."""
    dense_from: int
    """Row from which tiles see all blocks."""
    corrects: bool
    """Whether a dropped block attends as one key: the mean of its keys, with that of its values."""


@dataclass(frozen=True)
class Tile:
    """The new rows of a tile."""

    start: int
    stop: int
    groups: int
    """Rows of a token."""

    @property
    def first(self) -> int:
        """The first token with a row in the tile."""
        return self.start // self.groups

    @property
    def end(self) -> int:
        """One past the last token with a row in the tile."""
        return (self.stop - 1) // self.groups + 1


def attend_blocks(view: LayerView, rule: BlockRule) -> SparseOutput:
    """Attention of the view's queries, its newest tokens, over the blocks that each tile sees."""
    means = block_means(view.keys, rule.block)
    made = _kernels(view, rule)
    chosen = chosen_blocks(view, means, rule, made)
    if made is not None:
        out = _compiled(made, view, means, chosen, rule)
    else:
        heads = range(len(view.keys))
        out = torch.cat([_head(view, head, means[head], chosen[head], rule) for head in heads], 1)
    return SparseOutput(out.flatten(1), _pairs(chosen, view, rule))


def _kernels(view: LayerView, rule: BlockRule) -> Kernels | None:
    """The compiled kernels, if they can attend over these blocks."""
    made = kernels_for(view.queries, view.values, view.shape) if multiplies_bf16() else None
    fits = made is not None and not rule.block % TILE_KEYS and not rule.tile % made.block
    return made if fits else None


def _compiled(
    made: Kernels, view: LayerView, means: Tensor, chosen: Tensor, rule: BlockRule
) -> Tensor:
    """[T, H * D], by the compiled kernels; `chosen` is [K, tiles, blocks]."""
    keys, values = view.keys.contiguous(), view.values.contiguous()
    mean_values = block_means(values, rule.block)
    corrected = (means, made.pair_values(mean_values)) if rule.corrects else (None, None)
    paired, seen = made.pair_values(values), chosen.byte()
    length, groups = len(view.queries), _groups(view)
    first = keys.shape[1] - length
    out = view.queries.new_empty(length, view.shape.heads * values.shape[-1])
    before = first * groups // rule.tile  # tiles without a new row
    for start in range(0, length, _SPAN):
        rows = slice(start, min(start + _SPAN, length))
        begin, end = ((first + at) * groups for at in (rows.start, rows.stop))
        own = seen[:, begin // rule.tile - before : -(-end // rule.tile) - before].contiguous()
        blocks = SeenBlocks(own, rule.tile, rule.block, *corrected)
        scale, mixed = view.shape.scale, out[rows]
        made.attend_prefill(view.queries[rows], scale, keys, paired, first + start, mixed, blocks)
        pause()
    return out


def _head(view: LayerView, head: int, means: Tensor, chosen: Tensor, rule: BlockRule) -> Tensor:
    """[T, G, V] of one KV head; `chosen` is [tiles, blocks]."""
    length, groups = len(view.queries), _groups(view)
    keys, values = widened(view.keys[head]), widened(view.values[head])
    held = _Held(keys, values, widened(means), rule.block)
    scratch = keys.new_empty(rule.tile * held.most)
    parts = []
    tiles = [Tile(*ends, groups) for ends in pairwise(_borders(view, rule))]
    for tile, seen in zip(tiles, chosen.tolist(), strict=True):
        own = _tile_rows(view, head, tile)
        columns = held.columns(seen, tile.end, rule.corrects)
        parts.append(_attend_tile(own, tile, columns, view.shape.softcap, scratch))
        pause()
    return torch.cat(parts).to(view.queries.dtype).view(length, groups, -1)


def _tile_rows(view: LayerView, head: int, tile: Tile) -> Tensor:
    """The scaled queries [rows, D] of a tile of one KV head."""
    first = view.keys.shape[1] - len(view.queries)
    tokens = packed_rows(view, head, slice(tile.first - first, tile.end - first))
    before = tile.first * tile.groups
    return tokens.flatten(0, 1)[tile.start - before : tile.stop - before]


def _pairs(chosen: Tensor, view: LayerView, rule: BlockRule) -> float:
    """Query-key pairs of tiles that see `chosen` [K, tiles, blocks], averaged over heads."""
    groups, borders = _groups(view), torch.tensor(_borders(view, rule))
    rows, stops = borders.diff(), (borders[1:] - 1) // groups + 1
    begin = torch.arange(chosen.shape[-1]) * rule.block
    seen = (chosen * (stops[:, None] - begin).clamp(0, rule.block)).sum(-1)
    means = ((begin + rule.block <= stops[:, None]) & ~chosen).sum(-1) * rule.corrects
    tokens = borders // groups
    sums = groups * tokens * (tokens - 1) // 2 + tokens * (borders - groups * tokens)
    later = rows * (stops - 1) - sums.diff()  # pairs with later tokens of the tile
    scored = float((rows * (stops // rule.block)).sum()) / 2  # with means, to choose
    return (float((rows * (seen + means) - later).sum()) / len(chosen) + scored) / groups


def chosen_blocks(
    view: LayerView, means: Tensor, rule: BlockRule, made: Kernels | None = None
) -> Tensor:
    """[K, tiles, blocks] on the CPU: whether a tile of the queries of a KV head sees a block.

    `means` [K, n, D] are those of the keys of all complete blocks.
    """
    count = -(-view.keys.shape[1] // rule.block)
    energies = _energies(view, means, rule, made)
    energies = F.pad(energies, (0, count - means.shape[1]))
    borders, groups = torch.tensor(_borders(view, rule))[:, None], _groups(view)
    starts, stops = borders[:-1], (borders[1:] - 1) // groups + 1
    block = torch.arange(count)
    complete = (block + 1) * rule.block <= stops
    chosen = complete & (energies >= rule.alpha * energies.amax(-1, keepdim=True))
    near = block > starts // groups // rule.block - rule.window
    forced = (block < rule.sinks) | near | (starts >= rule.dense_from)
    return (chosen | forced) & (block * rule.block < stops)


def _energies(view: LayerView, means: Tensor, rule: BlockRule, made: Kernels | None) -> Tensor:
    """[K, tiles, n] on the CPU, by the compiled kernels if they are there."""
    if made is None:
        heads = range(len(means))
        return torch.stack([block_energies(view, head, means[head], rule).cpu() for head in heads])
    first, scale = view.keys.shape[1] - len(view.queries), view.shape.scale
    return made.block_energies(view.queries, scale, means, first, rule.tile, rule.block)


def block_energies(view: LayerView, head: int, means: Tensor, rule: BlockRule) -> Tensor:
    """[tiles, n]: sums of exponentials of the scores of a tile's rows against block means.

    A row counts for the blocks whose first key it sees, and a tile scores the blocks that are
    complete at its end. All exponentials of a tile have its largest score as their origin.
    """
    groups, entries = _groups(view), view.keys.shape[1]
    newest = range((entries - len(view.queries)) * groups, entries * groups)
    start = newest.start // rule.tile * rule.tile
    wide = torch.promote_types(means.dtype, torch.float32)
    energies = means.new_zeros((-(-(newest.stop - start) // rule.tile), len(means)), dtype=wide)
    step = max(1, _SCORE_BYTES // (wide.itemsize * rule.tile * max(1, len(means))))
    for at in range(0, len(energies), step):
        tiles = range(at, min(at + step, len(energies)))
        begin, end = start + tiles.start * rule.tile, start + tiles.stop * rule.tile
        seen = min(len(means), -(-end // groups) // rule.block)
        if not seen:
            continue  # no block is complete yet
        inner = Tile(max(begin, newest.start), min(end, newest.stop), groups)
        own = _tile_rows(view, head, inner).to(wide)
        # Whole tiles: rows that are missing count for no block.
        own = F.pad(own, (0, 0, inner.start - begin, end - inner.stop))
        row = torch.arange(begin, end, device=means.device).view(len(tiles), -1)
        place = (row // groups).where((row >= newest.start) & (row < newest.stop), -1)
        scores = (own @ means[:seen].to(wide).t()).view(len(tiles), rule.tile, seen)
        scores.masked_fill_(_uncounted(place, seen, rule.block), -torch.inf)
        most = scores.amax((1, 2), keepdim=True).clamp_min(torch.finfo(wide).min)
        energies[at : tiles.stop, :seen] = scores.sub_(most).exp_().sum(1)
    return energies


def _uncounted(place: Tensor, blocks: int, block: int) -> Tensor:
    """[tiles, tile, n] True where a row at `place` [tiles, tile] does not count for a block."""
    begin = torch.arange(blocks, device=place.device) * block
    incomplete = begin + block > place.amax(1, keepdim=True) + 1
    return (begin > place[..., None]) | incomplete[:, None]


def block_means(held: Tensor, block: int) -> Tensor:
    """Means [..., n, D] of the complete blocks of keys or values [..., E, D], in their dtype."""
    *heads, entries, size = held.shape
    count = entries // block
    wide = torch.promote_types(held.dtype, torch.float32)
    whole = held[..., : count * block, :].view(*heads, count, block, size)
    return whole.mean(-2, dtype=wide).to(held.dtype)


def _groups(view: LayerView) -> int:
    return view.shape.heads // view.shape.kv_heads


def _borders(view: LayerView, rule: BlockRule) -> list[int]:
    """The rows where tiles with new rows begin, and one past the last row."""
    groups, entries = _groups(view), view.keys.shape[1]
    start, stop = (entries - len(view.queries)) * groups, entries * groups
    return [start, *range((start // rule.tile + 1) * rule.tile, stop, rule.tile), stop]


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
    queries: Tensor, tile: Tile, columns: _Columns, softcap: float | None, scratch: Tensor
) -> Tensor:
    """One tile of one KV head: queries [rows, D] to [rows, V]."""
    size = len(queries), len(columns.keys)
    scores = scratch[: size[0] * size[1]].view(size)
    torch.mm(queries, columns.keys.t(), out=scores)
    if softcap is not None:
        scores.div_(softcap).tanh_().mul_(softcap)
    own, used = columns.own, columns.own + columns.means
    token = torch.arange(tile.first, tile.end, device=queries.device)
    row = torch.arange(tile.start, tile.stop, device=queries.device) // tile.groups
    scores[:, own - len(token) : own].masked_fill_(token > row[:, None], -torch.inf)
    # As many equal keys as the block has: log(block) more than one of them.
    scores[:, own:used].add_(columns.log_block)
    scores[:, used:] = -torch.inf
    weights = torch.softmax(scores, -1, out=scores)
    return torch.mm(weights, columns.values)
