"""Which caches lie in the buffers of a decode step, and where."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

from torch import Tensor

from forethought.engine.attention.step_buffers import StepBuffers, StepSize, copy_views, rounded
from forethought.engine.cache.blocks import Block
from forethought.engine.cache.segment import SegmentView
from forethought.engine.cache.sequence_cache import SequenceCache

_ROOM = 256
"""Least entries by which a row may grow before its entries move to larger buffers."""


class PlacedRow:
    """A row whose tail lies in the buffers.

    It keeps nothing alive: a cache that nobody needs frees its place.
    """

    def __init__(self, buffers: StepBuffers, index: int, row: SequenceCache, shared: int) -> None:
        """Copy the entries behind the first `shared` views to the place `index`."""
        self.tail = ref(row.tail)
        self.next: list[int] = []
        """Where the next entry of each layer goes."""
        self._blocks: list[ref[Block]] = []
        self._keys: list[Tensor] = []
        self._starts: list[int] = []
        for layer, entries in enumerate(row.tail.layers):
            keys, values = buffers.keys[layer][:, index], buffers.values[layer][:, index]
            start = copy_views(row.views[shared:], layer, keys, values)
            block, keys = entries.whole, keys[:, start:]
            block.move(keys, values[:, start:])
            self._blocks.append(ref(block))
            self._keys.append(keys)
            self._starts.append(start)
            self.next.append(start + block.length)
        buffers.show(index, self.next)
        self._room = buffers.size.entries

    def lies(self, row: SequenceCache) -> bool:
        """Whether the row's entries are here, as the last step left them, with room for one."""
        if self.tail() is not row.tail or max(self.next) >= self._room:
            return False
        places = zip(row.tail.layers, self._keys, self._starts, self.next, strict=True)
        return all(
            not entries.ragged
            and entries.whole.lies_in(keys)
            and start + entries.whole.length == after
            for entries, keys, start, after in places
        )

    def grow(self, row: SequenceCache) -> None:
        """Count the entry that a step has written in each layer."""
        for entries in row.tail.layers:
            entries.whole.grow()
        self.next = [after + 1 for after in self.next]

    def release(self) -> None:
        """Copy what is still needed out of the buffers."""
        for block, keys in zip(self._blocks, self._keys, strict=True):
            held = block()
            if held is not None and held.lies_in(keys):
                held.own()


class StepRows:
    """The rows of the buffers; a place whose row has ended is free for another."""

    def __init__(self, buffers: StepBuffers) -> None:
        self._buffers = buffers
        self._placed: list[PlacedRow | None] = [None] * buffers.size.rows
        self._prefix: list[ref[SegmentView]] = []

    def begin(self, prefix: Sequence[SegmentView]) -> None:
        """Empty all places, for rows that share these views."""
        self.release()
        self._prefix = [ref(view) for view in prefix]
        if prefix:
            self._buffers.fill_prefix(prefix)

    def known(self, rows: Sequence[SequenceCache]) -> list[int | None]:
        """The place of each row whose entries lie here with room for one; None for the others."""
        tails = [None if placed is None else placed.tail() for placed in self._placed]
        places = {id(tail): index for index, tail in enumerate(tails) if tail is not None}
        found = [places.get(id(row.tail)) for row in rows]
        return [
            index if index is not None and self._at(index).lies(row) else None
            for index, row in zip(found, rows, strict=True)
        ]

    def serves(self, rows: Sequence[SequenceCache], known: Sequence[int | None]) -> bool:
        """Whether these rows can decode here as things are: neither too many nor too few."""
        size, shared = self._buffers.size, len(self._prefix)
        if not size.rows // 2 < rounded_rows(len(rows)) <= size.rows:
            return False
        new = [row for row, index in zip(rows, known, strict=True) if index is None]
        return all(
            len(row.views) >= shared
            and all(one() is view for one, view in zip(self._prefix, row.views, strict=False))
            and _own_entries(row, shared) < size.entries
            for row in new
        )

    def place(self, rows: Sequence[SequenceCache], known: Sequence[int | None]) -> list[int]:
        """The place of each row; new rows get one, and those of all other rows become free."""
        for index in set(range(len(self._placed))).difference(known):
            self._free(index)
        free = iter([index for index, placed in enumerate(self._placed) if placed is None])
        return [
            self._put(next(free), row) if index is None else index
            for index, row in zip(known, rows, strict=True)
        ]

    def _put(self, index: int, row: SequenceCache) -> int:
        self._placed[index] = PlacedRow(self._buffers, index, row, len(self._prefix))
        return index

    def slots(self) -> list[list[int]]:
        """By place, where the next entry of each layer goes; free places write to their first."""
        nowhere = [0] * len(self._buffers.keys)
        found = [nowhere if placed is None else placed.next for placed in self._placed]
        width = self._buffers.size.entries
        return [[index * width + slot for slot in own] for index, own in enumerate(found)]

    def grow(self, rows: Sequence[SequenceCache], indices: Sequence[int]) -> None:
        """Count the entries that a step has written."""
        for row, index in zip(rows, indices, strict=True):
            self._at(index).grow(row)

    def _at(self, index: int) -> PlacedRow:
        placed = self._placed[index]
        assert placed is not None, "a row that decodes has a place"
        return placed

    def release(self) -> None:
        """Copy all rows out of the buffers."""
        for index in range(len(self._placed)):
            self._free(index)

    def _free(self, index: int) -> None:
        placed, self._placed[index] = self._placed[index], None
        if placed is not None:
            placed.release()


def rounded_rows(count: int) -> int:
    """Rows of a step for so many sequences: few different numbers."""
    if count <= 8:
        return 1 << (count - 1).bit_length()
    step = 8 if count <= 64 else 32
    return -(-count // step) * step


def size_for(rows: Sequence[SequenceCache]) -> tuple[StepSize, tuple[SegmentView, ...]]:
    """Buffers with room for these rows to grow, and the views that all of them share."""
    shared = _shared_views(rows)
    need = max(_own_entries(row, len(shared)) for row in rows) + 1
    layers = range(len(rows[0].tail.layers))
    prefix = max((sum(int(view.lengths()[i]) for view in shared) for i in layers), default=0)
    own = rounded(need + max(_ROOM, need // 4))
    return StepSize(rounded_rows(len(rows)), own, rounded(prefix)), shared if prefix else ()


def _shared_views(rows: Sequence[SequenceCache]) -> tuple[SegmentView, ...]:
    """The views that all rows begin with; none for a row alone, whose entries lie together."""
    first, count = rows[0].views, 0
    if len(rows) > 1:
        for views in zip(*(row.views for row in rows), strict=False):
            if any(view is not views[0] for view in views):
                break
            count += 1
    return first[:count]


def _own_entries(row: SequenceCache, shared: int) -> int:
    """The most entries of a layer behind the first `shared` views."""
    held = [*(view.lengths() for view in row.views[shared:]), row.tail.lengths()]
    return int(max(map(sum, zip(*held, strict=True))))
