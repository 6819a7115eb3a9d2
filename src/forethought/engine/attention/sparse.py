"""Sparse prefill attention: each query sees bands of keys along slashes, and single columns.

The rule is that of MInference's kernel (arXiv:2407.02490), with queries in blocks of 64. For the
block [m, m + 64), every slash s, from far to near, adds a band of 64 keys. The band starts at m -
s, or where the previous band ends if that is later; a slash without new keys adds nothing. Every
block sees the columns, and no query sees a later key.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forethought.contracts.errors import BadParameterError, UnsupportedModelError
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import Pattern
from forethought.engine.attention.prefill import Visibility
from forethought.models.hardware.processor import widened
from forethought.models.hardware.sliced_task import pause

BLOCK = 64


def attend_sparse(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    shape: LayerShape,
    sight: Visibility,
    pattern: Pattern,
) -> Tensor:
    """Attention of T prompt tokens over the keys among them that the pattern shows.

    queries [T, H, D], keys [K, T, D], values [K, T, V]; returns [T, H * V].
    """
    if sight.window is not None:
        raise UnsupportedModelError(
            f"a layer that sees {sight.window:,} tokens back was to be thinned",
            "leave layers with a sliding window as they are: return None for them",
        )
    _check(pattern, len(keys))
    length, _, size = queries.shape
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
        for block, bands in enumerate(starts[head]):
            rows = slice(block * BLOCK, min((block + 1) * BLOCK, length))
            entries = _entries(pattern.columns[head], bands, rows)
            _attend_block(own, keys[source], values[source], shape, entries, rows, out[head])
            pause()
    return out.transpose(0, 1).reshape(length, -1).to(given)


def pattern_pairs(pattern: Pattern, tokens: int, kv_heads: int) -> float:
    """Query-key pairs per head in a prefill of this many tokens, averaged over heads."""
    _check(pattern, kv_heads)
    starts = band_starts(pattern.slashes, tokens)
    first = torch.arange(0, tokens, BLOCK, device=starts.device)  # of each block
    rows = (tokens - first).clamp(max=BLOCK)
    # Slash 0 always exists, so a block sees all of its own earlier keys.
    total = int((rows * (rows + 1) // 2).sum()) * len(starts)
    total += int((rows * (first[:, None] - starts).clamp(0, BLOCK).sum(-1)).sum())
    for columns, bands in zip(pattern.columns, starts, strict=True):
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
