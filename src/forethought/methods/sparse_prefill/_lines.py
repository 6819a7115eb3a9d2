"""Sparse attention along lines: bands of keys along slashes, and single columns.

The rule is that of MInference's kernel (arXiv:2407.02490), with queries in blocks of 64. For the
block [m, m + 64), every slash s, from far to near, adds a band of 64 keys. The band starts at m -
s, or where the previous band ends if that is later; a slash without new keys adds nothing. Every
block sees the columns, and no query sees a later key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import LayerView, SparseOutput
from forethought.methods.sparse_prefill._packing import joined, packed
from forethought.models.hardware.processor import widened
from forethought.models.hardware.sliced_task import pause
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64


@dataclass(frozen=True)
class Lines:
    """The lines that each head sees, within the causal mask."""

    columns: Tensor
    """[K or H, C] key indices, ascending, visible to every later query."""
    slashes: Tensor
    """[K or H, S] distances from a query back to its key, descending."""


def attend_lines(view: LayerView, lines: Lines) -> SparseOutput:
    """Attention of the view's queries, its newest tokens, over the keys on the lines."""
    _check(lines, len(view.keys))
    heads, new, entries = len(lines.columns), len(view.queries), view.keys.shape[1]
    queries = packed(view, heads)
    keys, values = widened(view.keys), widened(view.values)
    out = queries.new_empty((*queries.shape[:3], values.shape[-1]))
    starts = band_starts(lines.slashes, entries)
    for head, own in enumerate(queries):
        source = head * len(keys) // heads
        for block, rows in _blocks(new, entries):
            seen = _entries(lines.columns[head], starts[head][block], rows)
            first = entries - new
            mine = slice(max(rows.start, first) - first, rows.stop - first)
            _attend_block(own, keys[source], values[source], view.shape, seen, mine, out[head])
            pause()
    return SparseOutput(joined(out, view), line_pairs(lines, new, entries, len(keys)))


def _blocks(new: int, entries: int) -> Iterator[tuple[int, slice]]:
    """The blocks with queries among the newest `new` entries, and their range of entries."""
    for block in range((entries - new) // BLOCK, -(-entries // BLOCK)):
        yield block, slice(block * BLOCK, min((block + 1) * BLOCK, entries))


def line_pairs(lines: Lines, new: int, entries: int, kv_heads: int) -> float:
    """Query-key pairs of the newest `new` of the entries, averaged over heads."""
    _check(lines, kv_heads)
    starts = band_starts(lines.slashes, entries)
    first = torch.arange(0, entries, BLOCK, device=starts.device)  # of each block
    rows = (entries - first).clamp(max=BLOCK)
    old = (entries - new - first).clamp(min=0).minimum(rows)  # rows before the new ones
    # Slash 0 always exists, so a block sees all of its own earlier keys.
    own = rows * (rows + 1) // 2 - old * (old + 1) // 2
    rows = rows - old
    total = int(own.sum()) * len(starts)
    total += int((rows * (first[:, None] - starts).clamp(0, BLOCK).sum(-1)).sum())
    for columns, bands in zip(lines.columns, starts, strict=True):
        total += int((rows * _lone_columns(columns.unique(), bands, first)).sum())
    return total / len(starts)


def band_starts(slashes: Tensor, length: int) -> Tensor:
    """[P, blocks, bands]: the first key of each block's bands of 64 keys, ascending.

    Bands of a block do not overlap; a missing band starts at `length`.
    """
    ascending = slashes.flip(-1).contiguous()
    first = torch.arange(0, length, BLOCK, device=slashes.device)
    first = first.expand(len(slashes), -1).contiguous()  # [P, blocks]
    shown = torch.zeros_like(first)  # end of the latest band
    found = []
    while True:
        # The farthest slash with keys that no band shows yet.
        nearer = torch.searchsorted(ascending, first + BLOCK - shown)
        if not bool((nearer > 0).any()):
            break
        slash = ascending.gather(1, (nearer - 1).clamp(min=0))
        start = torch.maximum(first - slash, shown)
        found.append(start.masked_fill(nearer == 0, length))
        shown = torch.where(nearer > 0, start + BLOCK, shown)
    return torch.stack(found, -1)


def _check(lines: Lines, kv_heads: int) -> None:
    columns, slashes = len(lines.columns), len(lines.slashes)
    if columns != slashes or columns == 0 or columns % kv_heads:
        raise BadParameterError(
            f"a pattern has columns for {columns} heads and slashes for {slashes}",
            f"give both for each of the {kv_heads} key heads, or for each query head",
        )
    if lines.slashes.shape[1] == 0 or bool((lines.slashes[:, -1] != 0).any()):
        raise BadParameterError(
            "a pattern without the slash 0 would hide tokens from themselves",
            "end every head's slashes with 0",
        )


def _lone_columns(columns: Tensor, starts: Tensor, first: Tensor) -> Tensor:
    """[blocks]: number of columns [C] before each block that no band of it shows."""
    wanted = columns.expand(len(first), -1).contiguous()
    before = torch.searchsorted(starts.contiguous(), wanted, right=True) - 1
    nearest = starts.gather(1, before.clamp(min=0))
    covered = (before >= 0) & (wanted < nearest + BLOCK)
    return ((wanted < first[:, None]) & ~covered).sum(-1)


def _entries(columns: Tensor, starts: Tensor, rows: slice) -> Tensor:
    """The keys that a block of queries sees, ascending; its own keys come last."""
    seen = torch.zeros(rows.stop + BLOCK, dtype=torch.bool, device=starts.device)
    seen[columns[columns < rows.start]] = True
    band = torch.arange(BLOCK, device=starts.device)
    seen[(starts.clamp(max=rows.stop)[:, None] + band).flatten()] = True
    return seen[: rows.stop].nonzero().flatten()


def _attend_block(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    shape: LayerShape,
    entries: Tensor,
    rows: slice,
    out: Tensor,
) -> None:
    """One head: queries [T, G, D], keys [T, D], values [T, V], out [T, G, V]."""
    mine = queries[rows]
    count, groups, _ = mine.shape
    scores = torch.mm(mine.flatten(0, 1), keys.index_select(0, entries).t())
    if shape.softcap is not None:
        scores.div_(shape.softcap).tanh_().mul_(shape.softcap)
    future = scores.new_full((count, count), -torch.inf).triu_(1)
    scores.view(count, groups, -1)[..., -count:].add_(future[:, None])
    weights = torch.softmax(scores, -1, out=scores)
    torch.mm(weights, values.index_select(0, entries), out=out[rows].view(count * groups, -1))
