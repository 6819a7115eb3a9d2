"""The cache of a row: shared frozen segments, then a private tail.

A segment holds the keys and values of a run of tokens, layer by layer. Forking a row
freezes its tail, so that both rows see the same tensors. Dropping entries rewrites a layer
of the tail with what is kept: memory falls, positions stay. The number of entries held
(physical) and the next position (logical) are different things throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROOM = 32  # least entries by which a full layer grows; beyond, by a sixteenth


class Entries:
    """Keys and values of one layer: [K, length, D] inside tensors with room to grow."""

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._kept: Tensor | None = None
        self.bytes = 0
        """Bytes of the tensors held, room to grow included."""

    @property
    def keys(self) -> Tensor:
        """[K, length, D]."""
        assert self._keys is not None, "an empty layer has no keys"
        return self._keys[:, : self.length]

    @property
    def values(self) -> Tensor:
        """[K, length, D]."""
        assert self._values is not None, "an empty layer has no values"
        return self._values[:, : self.length]

    def append(self, keys: Tensor, values: Tensor, reserve: int) -> None:
        """Add keys and values [N, K, D]; a first allocation has room for `reserve` entries."""
        count = keys.shape[0]
        self._make_room(keys, values, count, reserve)
        assert self._keys is not None
        assert self._values is not None
        end = self.length + count
        self._keys[:, self.length : end] = keys.transpose(0, 1)
        self._values[:, self.length : end] = values.transpose(0, 1)
        self.length = end

    def _make_room(self, keys: Tensor, values: Tensor, count: int, reserve: int) -> None:
        have = 0 if self._keys is None else self._keys.shape[1]
        need = self.length + count
        if need <= have:
            return
        room = max(need, reserve) if have == 0 else need + max(_ROOM, need // 16)
        self._keys = self._grown(self._keys, keys, room)
        self._values = self._grown(self._values, values, room)
        self._count_bytes()

    def _grown(self, old: Tensor | None, like: Tensor, room: int) -> Tensor:
        new = like.new_empty((like.shape[1], room, like.shape[2]))
        if old is not None:
            new[:, : self.length] = old[:, : self.length]
        return new

    def keep(self, indices: Tensor, places: Tensor) -> None:
        """Keep entries indices [K, M] only, ascending; what was held is freed.

        `places` [K, M] are their places in the segment.
        """
        self._keys = _gathered(self.keys, indices)
        self._values = _gathered(self.values, indices)
        self._kept = places
        self.length = indices.shape[1]
        self._count_bytes()

    def truncate(self, length: int) -> None:
        """Forget the newest entries."""
        assert length <= self.length, "truncation cannot add entries"
        self.length = length

    @property
    def kept(self) -> Tensor | None:
        """[K, M] places in the segment of the first M entries; None when nothing was dropped."""
        return self._kept

    def _count_bytes(self) -> None:
        assert self._keys is not None
        assert self._values is not None
        held = (self._keys.untyped_storage(), self._values.untyped_storage())
        self.bytes = sum(storage.nbytes() for storage in held)


def _gathered(entries: Tensor, indices: Tensor) -> Tensor:
    return entries.gather(1, indices[..., None].expand(-1, -1, entries.shape[-1]))


class Segment:
    """A run of tokens: their positions, and their keys and values in every layer."""

    def __init__(self, layers: int) -> None:
        self.layers = [Entries() for _ in range(layers)]
        self.positions: list[int] = []

    def lengths(self) -> tuple[int, ...]:
        """Entries held by each layer."""
        return tuple(entries.length for entries in self.layers)

    def drops(self) -> tuple[int, ...]:
        """How many entries each layer kept when it was last cut; -1 where it never was."""
        kept = [entries.kept for entries in self.layers]
        return tuple(-1 if places is None else places.shape[1] for places in kept)

    def bytes(self) -> int:
        """Bytes of all tensors held."""
        return sum(entries.bytes for entries in self.layers)

    def keep(self, layer: int, indices: Tensor) -> None:
        """Keep entries indices [K, M] of a layer, ascending; free the others."""
        places = self._places(layer)
        kept = indices.cpu()
        self.layers[layer].keep(indices, kept if places is None else places.gather(1, kept))

    def positions_at(self, layer: int, length: int) -> Tensor:
        """Logical positions of a layer's first `length` entries: [E], or [K, E] after a drop."""
        where, places = torch.tensor(self.positions), self._places(layer)
        return where[:length] if places is None else where[places[:, :length]]

    def _places(self, layer: int) -> Tensor | None:
        """[K, E]: which of the segment's tokens each entry is; None where none was dropped."""
        entries, total = self.layers[layer], len(self.positions)
        if entries.kept is None:
            return None
        later = torch.arange(total - (entries.length - entries.kept.shape[1]), total)
        return torch.cat([entries.kept, later.expand(len(entries.kept), -1)], 1)


@dataclass(frozen=True)
class View:
    """A frozen segment as one row sees it: the first `lengths[layer]` entries of each layer."""

    segment: Segment
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Mark:
    """A point to rewind a row to."""

    views: tuple[View, ...]
    tail: Segment
    lengths: tuple[int, ...]
    positions: int
    next: int
    kept: tuple[int, ...]
    """How many entries each layer had kept when it was last cut; -1 where it never was."""


class Row:
    """One sequence: what it has cached, and the position its next token takes."""

    def __init__(self, layers: int, reserve: int = 0) -> None:
        self.views: tuple[View, ...] = ()
        self.tail = Segment(layers)
        self.next = 0
        self.reserve = reserve

    def append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Add a layer's keys and values [N, K, D] of the tokens of this step."""
        self.tail.layers[layer].append(keys, values, self.reserve)

    def advance(self, count: int) -> range:
        """The positions of the next `count` tokens, taken from now on."""
        taken = range(self.next, self.next + count)
        self.tail.positions.extend(taken)
        self.next += count
        return taken

    def lengths(self) -> tuple[int, ...]:
        """Entries this row attends to, in every layer."""
        total = self.tail.lengths()
        for view in self.views:
            total = tuple(map(sum, zip(total, view.lengths, strict=True)))
        return total

    def freeze(self) -> None:
        """Make the tail a shared segment; what follows goes to a new tail."""
        if any(self.tail.lengths()):
            self.views = (*self.views, View(self.tail, self.tail.lengths()))
            self.tail = Segment(len(self.tail.layers))
            self.reserve = 0

    def fork(self) -> Row:
        """A second row that continues from here; both share what is cached so far."""
        self.freeze()
        other = Row(len(self.tail.layers))
        other.views, other.next = self.views, self.next
        return other

    def mark(self) -> Mark:
        """This point, to come back to."""
        tail = self.tail
        positions = len(tail.positions)
        return Mark(self.views, tail, tail.lengths(), positions, self.next, tail.drops())

    def rewind(self, mark: Mark) -> None:
        """Forget everything since `mark`, since when nothing may have been dropped."""
        assert mark.kept == mark.tail.drops(), "dropped entries cannot come back"
        self.views, self.next = mark.views, mark.next
        if self.tail is mark.tail:
            del self.tail.positions[mark.positions :]
            for entries, length in zip(self.tail.layers, mark.lengths, strict=True):
                entries.truncate(length)
            return
        if any(mark.lengths):
            self.views = (*self.views, View(mark.tail, mark.lengths))
        self.tail = Segment(len(self.tail.layers))

    def forget(self, count: int) -> None:
        """Forget the newest `count` tokens; they must all lie in the private tail."""
        lengths = tuple(length - count for length in self.tail.lengths())
        assert min(lengths, default=0) >= 0, "only private tokens can be forgotten"
        positions = len(self.tail.positions) - count
        tail, drops = self.tail, self.tail.drops()
        self.rewind(Mark(self.views, tail, lengths, positions, self.next - count, drops))

    def settle(self, position: int) -> None:
        """Forget what lies at or after a position, in layers that did not choose what to keep.

        Layers cut by `keep` must hold nothing from there on already.
        """
        assert not self.views, "only a private row can be settled"
        extra = self.next - position
        for entries in self.tail.layers:
            if entries.kept is None:
                entries.truncate(entries.length - extra)
        del self.tail.positions[len(self.tail.positions) - extra :]
        self.next = position

    def keep(self, layer: int, indices: Tensor) -> None:
        """Keep entries indices [K, M] of a layer of the tail, ascending; free the others."""
        self.tail.keep(layer, indices)

    def pieces(self, layer: int) -> list[tuple[Tensor, Tensor]]:
        """(keys, values) [K, E, D] of every non-empty piece of a layer, oldest first."""
        found = [
            (v.segment.layers[layer].keys[:, :n], v.segment.layers[layer].values[:, :n])
            for v in self.views
            if (n := v.lengths[layer])
        ]
        own = self.tail.layers[layer]
        return [*found, (own.keys, own.values)] if own.length else found

    def positions_at(self, layer: int) -> Tensor:
        """Logical positions of a layer's entries: [E], or [K, E] when heads differ."""
        parts = [v.segment.positions_at(layer, v.lengths[layer]) for v in self.views]
        own = self.tail.layers[layer].length
        parts = [*parts, self.tail.positions_at(layer, own)] if own else parts
        heads = max((part.shape[0] for part in parts if part.dim() == 2), default=0)
        if heads:
            parts = [part.expand(heads, -1) if part.dim() == 1 else part for part in parts]
        return torch.cat(parts, -1)


def cache_bytes(rows: Iterable[Row]) -> int:
    """Bytes of the tensors that hold these rows; a shared segment counts once."""
    segments = {id(s): s for row in rows for s in segments_of(row)}
    return sum(segment.bytes() for segment in segments.values())


def segments_of(row: Row) -> Sequence[Segment]:
    """Every segment a row can see, its tail last."""
    return [*(view.segment for view in row.views), row.tail]
