"""Attention of a tree of drafted tokens: each sees the cache, its ancestors and itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from forethought.contracts.drafts import DraftTree
from forethought.contracts.records import LayerShape
from forethought.engine.attention.compiled import aligned
from forethought.engine.attention.decode import Partial, attend_piece, attend_view, by_head
from forethought.engine.cache.segment import SegmentView
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.compiled.kernels import PIECE, Kernels


class TreeRows:
    """The rows of one sequence in a decode pass: its newest token, then the tokens of a tree."""

    def __init__(self, tree: DraftTree, positions: Sequence[int]) -> None:
        self.positions = list(positions)
        """By row."""
        self.paths = [(0,), *((0, *(place + 1 for place in path)) for path in tree.paths)]
        """By row, the rows that it sees; the last one is the row itself."""
        self.runs = [_runs(path) for path in self.paths]
        """The same as ranges."""
        hidden = torch.ones(len(self.paths), len(self.paths), dtype=torch.bool)
        for row, path in enumerate(self.paths):
            hidden[row, list(path)] = False
        self.hidden = hidden
        """[N, N] True where a row does not see another one."""

    def __len__(self) -> int:
        return len(self.paths)


def _runs(path: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending places as ranges, each with its first place and the place behind its last."""
    found = [(path[0], path[0] + 1)]
    for place in path[1:]:
        start, stop = found[-1]
        if place == stop:
            found[-1] = start, stop + 1
        else:
            found.append((place, place + 1))
    return found


def attend_tree(
    queries: Tensor, cache: SequenceCache, layer: int, shape: LayerShape, rows: TreeRows
) -> Tensor:
    """queries [N, H, D] of tokens that are cached already, to [N, H * V]."""
    count, kv_heads = len(rows), shape.kv_heads
    packed = queries.view(count, kv_heads, -1, queries.shape[-1])
    stacked = packed.transpose(0, 1).reshape(kv_heads, -1, queries.shape[-1])
    tail = SegmentView(cache.tail, count)
    own = cache.tail.layers[layer].parts()
    behind = all(part.block.length > count for part in own)
    before = [view for view in cache.views if view.lengths()[layer] > 0]
    total = _attend_new(stacked, cache, layer, shape, rows)
    for view in [*before, tail] if behind else before:
        total = attend_view(stacked, view, layer, shape, rows.positions).merged(total)
    mixed = total.mixed.reshape(kv_heads, count, -1)
    return mixed.transpose(0, 1).reshape(count, -1)


def _attend_new(
    queries: Tensor, cache: SequenceCache, layer: int, shape: LayerShape, rows: TreeRows
) -> Partial:
    """Queries [K, N * G, D] over the entries of the tree; of a short tail, over all entries."""
    count = len(rows)
    hidden = _with_window(rows, shape).repeat_interleave(queries.shape[1] // count, 0)[None]
    done = []
    for part in cache.tail.layers[layer].parts():
        start = part.block.length - count
        keys, values = part.block.keys[:, start:], part.block.values[:, start:]
        done.append(attend_piece(queries[part.heads], keys, values, shape, hidden))
    return by_head(done)


def _with_window(rows: TreeRows, shape: LayerShape) -> Tensor:
    if shape.window is None:
        return rows.hidden
    places = torch.tensor(rows.positions)
    return rows.hidden | (places[:, None] - places >= shape.window)


def attend_tree_compiled(
    made: Kernels,
    tokens: tuple[Tensor, Tensor, Tensor],
    cache: SequenceCache,
    layer: int,
    shape: LayerShape,
    rows: TreeRows,
) -> Tensor:
    """Caches keys and values [N, K, D], then attends: queries [N, H, D] to [N, H * D].

    The entries that a row sees count off like those of a plain step, so its result is the same bit
    for bit.
    """
    _, keys, values = tokens
    shared: list[int] = []
    total = 0
    for view in cache.views:
        block = view.segment.layers[layer].whole
        if (seen := block.length - view.unseen) > 0:
            shared += (*block.place, seen)
            total += seen
    start = cache.tail.layers[layer].whole.length
    block = cache.extend(layer, keys, values)
    step = keys.shape[-1] * keys.element_size()
    key, value, *strides = block.place
    pieces: list[int] = []
    ends: list[int] = []
    for runs in rows.runs:
        pieces += (*shared, *block.place, start + runs[0][1])
        for first, stop in runs[1:]:
            skipped = (start + first) * step
            pieces += (key + skipped, value + skipped, *strides, stop - first)
        ends.append(len(pieces) // PIECE)
    lengths = [total + start + len(path) for path in rows.paths]
    return made.attend(aligned(tokens), shape.scale, pieces, ends, lengths)
