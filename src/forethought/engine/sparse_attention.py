"""Attention of a prompt over some of its keys: bands along slashes, and single columns.

The rule is that of MInference's kernel (arXiv:2407.02490). Queries come in blocks of 64. In the
block [m, m + 64) every slash s, from far to near, shows the whole block 64 keys: those from
m - s on, or those that follow what a farther slash already shows, if that is later; a slash
whose keys are all shown adds nothing. Columns are shown to every block, and no query sees a
later key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.errors import BadParameterError, UnsupportedModelError
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Pattern
from forethought.engine.attention import Visibility
from forethought.models.processor import widened

BLOCK = 64
_STEP_BYTES = 6 << 20  # scores of one step: stays in the last-level cache
_MOST_BLOCKS = 4  # a step; more rows use what was gathered more often


@dataclass(frozen=True)
class Step:
    """Queries that attend together, and the keys that any of them sees."""

    rows: slice
    entries: Tensor
    """[W] indices of keys: first those that every query sees."""
    hidden: Tensor
    """[rows, last few of W]: True where a query does not see a key."""


def attend_sparse(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    shape: LayerShape,
    sight: Visibility,
    pattern: Pattern,
) -> Tensor:
    """Attention of T tokens over those of themselves that the pattern shows.

    queries [T, H, D], keys [K, T, D], values [K, T, V]; returns [T, H * V].
    """
    if sight.window is not None:
        raise UnsupportedModelError(
            f"a layer that sees {sight.window:,} tokens back was to be thinned",
            "leave layers with a sliding window as they are: return None for them",
        )
    _check(pattern, len(keys))
    length, heads, size = queries.shape
    assert keys.shape[1] == length, "only a prompt that is read in one pass is thinned"
    patterns = len(pattern.columns)
    given = queries.dtype
    queries, keys, values = widened(queries), widened(keys), widened(values)
    # Scaled and rounded as in attend_causal.
    wide = torch.promote_types(queries.dtype, torch.float32)
    packed = (queries.to(wide) * shape.scale).to(queries.dtype)
    packed = packed.view(length, patterns, -1, size).transpose(0, 1).contiguous()  # [P, T, G, D]
    out = packed.new_empty((*packed.shape[:3], values.shape[-1]))
    starts = band_starts(pattern.slashes, length)
    for head, own in enumerate(packed):
        source = head * len(keys) // patterns
        blocks = _blocks_at_once(pattern.columns[head], starts[head], own)
        for step in _steps(pattern.columns[head], starts[head], length, blocks):
            _attend_step(own, keys[source], values[source], shape, step, out[head])
    return out.transpose(0, 1).reshape(length, -1).to(given)


def pattern_pairs(pattern: Pattern, tokens: int, kv_heads: int) -> float:
    """Query-key pairs that a head visits, on average, while it reads so many tokens."""
    _check(pattern, kv_heads)
    starts = band_starts(pattern.slashes, tokens)
    first = torch.arange(0, tokens, BLOCK, device=starts.device)  # of each block
    rows = (tokens - first).clamp(max=BLOCK)
    # The slash 0 is always there, so that a block sees all of itself that is not later.
    total = int((rows * (rows + 1) // 2).sum()) * len(starts)
    total += int((rows * (first[:, None] - starts).clamp(0, BLOCK).sum(-1)).sum())
    for columns, bands in zip(pattern.columns, starts, strict=True):
        total += int((rows * _lone_columns(columns.unique(), bands, first)).sum())
    return total / len(starts)


def band_starts(slashes: Tensor, length: int) -> Tensor:
    """[P, blocks, bands]: where the bands of 64 keys of each block start, ascending.

    Bands of a block do not overlap; `length` stands where there is none.
    """
    ascending = slashes.flip(-1).contiguous()
    first = torch.arange(0, length, BLOCK, device=slashes.device)
    first = first.expand(len(slashes), -1).contiguous()  # [P, blocks]
    shown = torch.zeros_like(first)  # where the newest band ends
    found = []
    while True:
        # The farthest slash that reaches beyond what is shown.
        nearer = torch.searchsorted(ascending, first + BLOCK - shown)
        if not bool((nearer > 0).any()):
            break
        slash = ascending.gather(1, (nearer - 1).clamp(min=0))
        start = torch.maximum(first - slash, shown)
        found.append(start.masked_fill(nearer == 0, length))
        shown = torch.where(nearer > 0, start + BLOCK, shown)
    return torch.stack(found, -1)


def _check(pattern: Pattern, kv_heads: int) -> None:
    columns, slashes = len(pattern.columns), len(pattern.slashes)
    if columns != slashes or columns == 0 or columns % kv_heads:
        raise BadParameterError(
            f"a pattern has columns for {columns} heads and slashes for {slashes}",
            f"give both for each of the {kv_heads} key heads, or for each query head",
        )
    if pattern.slashes.shape[1] == 0 or bool((pattern.slashes[:, -1] != 0).any()):
        raise BadParameterError(
            "a pattern without the slash 0 would hide tokens from themselves",
            "end every head's slashes with 0",
        )


def _lone_columns(columns: Tensor, starts: Tensor, first: Tensor) -> Tensor:
    """[blocks]: how many columns [C] before each block no band of it shows."""
    wanted = columns.expand(len(first), -1).contiguous()
    before = torch.searchsorted(starts.contiguous(), wanted, right=True) - 1
    nearest = starts.gather(1, before.clamp(min=0))
    covered = (before >= 0) & (wanted < nearest + BLOCK)
    return ((wanted < first[:, None]) & ~covered).sum(-1)


def _blocks_at_once(columns: Tensor, starts: Tensor, queries: Tensor) -> int:
    """How many blocks a step takes: fewer where that would show them far more keys."""
    length, groups, _ = queries.shape
    last = starts[-1][starts[-1] < length]
    runs = 1 + int((last.diff() > BLOCK).sum())
    width = len(columns) + BLOCK * len(last)
    for blocks in range(_MOST_BLOCKS, 1, -1):
        more = runs * (blocks - 1) * BLOCK
        size = blocks * BLOCK * groups * min(width + more, length) * queries.element_size()
        if more <= width // 4 and size <= _STEP_BYTES:
            return blocks
    return 1


def _steps(columns: Tensor, starts: Tensor, length: int, blocks: int) -> Iterator[Step]:
    """One head: columns [C], starts [all blocks, bands]."""
    for block in range(0, len(starts), blocks):
        first = block * BLOCK
        rows = slice(first, min(first + blocks * BLOCK, length))
        seen = _seen(columns, starts[block : block + blocks], rows.stop)
        whole = seen.all(0)
        whole[first + 1 :] = False
        partly = (seen.any(0) & ~whole).nonzero().flatten()
        place = torch.arange(rows.start, rows.stop, device=seen.device)
        hidden = ~seen[:, partly].repeat_interleave(BLOCK, 0)[: len(place)]
        hidden |= partly > place[:, None]
        yield Step(rows, torch.cat([whole.nonzero().flatten(), partly]), hidden)


def _seen(columns: Tensor, starts: Tensor, stop: int) -> Tensor:
    """[blocks, stop]: which keys the blocks see, later ones among them."""
    seen = torch.zeros((len(starts), stop + BLOCK), dtype=torch.bool, device=starts.device)
    seen[:, columns[columns < stop]] = True
    band = torch.arange(BLOCK, device=starts.device)
    seen.scatter_(1, (starts.clamp(max=stop)[..., None] + band).flatten(1), True)
    return seen[:, :stop]


def _attend_step(
    queries: Tensor, keys: Tensor, values: Tensor, shape: LayerShape, step: Step, out: Tensor
) -> None:
    """One head: queries [T, G, D], keys [T, D], values [T, V], out [T, G, V]."""
    mine = queries[step.rows]
    rows, groups, _ = mine.shape
    scores = torch.mm(mine.flatten(0, 1), keys.index_select(0, step.entries).t())
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    partly = step.hidden.shape[1]
    by_query = scores.view(rows, groups, -1)
    by_query[..., by_query.shape[-1] - partly :].masked_fill_(step.hidden[:, None], -torch.inf)
    weights = torch.softmax(scores, -1, out=scores)
    mixed = out[step.rows].view(rows * groups, -1)
    torch.mm(weights, values.index_select(0, step.entries), out=mixed)
