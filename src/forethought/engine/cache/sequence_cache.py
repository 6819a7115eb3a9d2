"""The cache of a row: shared frozen segments, then a private tail.

A segment holds the keys and values of a run of tokens, layer by layer. Forking a row
freezes its tail, so that both rows see the same tensors. Dropping entries rewrites a layer
of the tail with what is kept: memory falls, positions stay. The number of entries held
(physical) and the next position (logical) are different things throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import Entries
from forethought.engine.cache.blocks import SLACK, Block, LayerEntries
from forethought.engine.cache.query_window import QueryWindow


class Segment:
    """A run of tokens: their positions, and their keys and values in every layer."""

    def __init__(self, layers: Iterable[LayerEntries]) -> None:
        self.layers = list(layers)
        self.positions: list[int] = []

    @classmethod
    def empty(cls, layers: int) -> Segment:
        """No tokens yet."""
        return cls(LayerEntries() for _ in range(layers))

    def lengths(self) -> tuple[float, ...]:
        """Entries that a head of each layer holds, on average."""
        return tuple(entries.length for entries in self.layers)

    def drops(self) -> tuple[int, ...]:
        """How many entries each layer kept when it was last cut; -1 where it never was."""
        kept = [entries.kept for entries in self.layers]
        return tuple(-1 if places is None else sum(map(len, places)) for places in kept)

    def bytes(self) -> int:
        """Bytes of all tensors held."""
        return sum(entries.bytes for entries in self.layers)

    def keep(self, layer: int, indices: Entries) -> None:
        """Keep of each head entries [M], ascending; free the others."""
        self.layers[layer] = self.part(layer, indices)

    def part(self, layer: int, indices: Entries) -> LayerEntries:
        """Copies of a layer's entries: of each head those at `indices`, ascending."""
        places = self.places(layer, len(indices))
        where = [own[kept.cpu()] for own, kept in zip(places, indices, strict=True)]
        return self.layers[layer].kept_part(indices, where)

    def head_positions(self, layer: int, heads: int, unseen: int = 0) -> list[Tensor]:
        """Logical positions of the entries of each head but the `unseen` newest."""
        where = torch.tensor(self.positions)
        places = self.places(layer, heads)
        return [where[own[: len(own) - unseen]] for own in places]

    def places(self, layer: int, heads: int) -> list[Tensor]:
        """For each head, which of the segment's tokens each of its entries is."""
        entries, total = self.layers[layer], len(self.positions)
        if entries.kept is None:
            return [torch.arange(total)] * heads
        return [
            torch.cat([kept, torch.arange(total - (held - len(kept)), total)])
            for kept, held in zip(entries.kept, _held(entries, heads), strict=True)
        ]


def _held(entries: LayerEntries, heads: int) -> list[int]:
    """Entries that each of a layer's heads holds."""
    lengths = [part.block.length for part in entries.parts()]
    return lengths if len(lengths) > 1 else lengths * heads


@dataclass(frozen=True)
class SegmentView:
    """A frozen segment as one row sees it: all but its newest tokens."""

    segment: Segment
    unseen: int = 0

    def lengths(self) -> tuple[float, ...]:
        """Entries that a head of each layer shows, on average."""
        return tuple(max(0, length - self.unseen) for length in self.segment.lengths())


@dataclass(frozen=True)
class KVSlice:
    """What one run of tokens holds for some heads of a layer: keys and values [K, E, D]."""

    heads: slice
    keys: Tensor
    values: Tensor


@dataclass(frozen=True)
class CacheMark:
    """A point to rewind a row to."""

    views: tuple[SegmentView, ...]
    tail: Segment
    positions: int
    next: int
    kept: tuple[int, ...]
    """How many entries each layer had kept when it was last cut; -1 where it never was."""


class SequenceCache:
    """One sequence: what it has cached, and the position its next token takes."""

    def __init__(self, layers: int, reserve: int = 0) -> None:
        self.views: tuple[SegmentView, ...] = ()
        self.tail = Segment.empty(layers)
        self.next = 0
        self.reserve = reserve
        self.slack = SLACK
        """Least entries by which a full layer grows; beyond, by a sixteenth."""
        self.recent: QueryWindow | None = None
        """The newest queries, where somebody wants to see them later."""
        self.memory: dict[int, Tensor] = {}
        """By layer, scores [K, E] that a method keeps beside the entries of the tail."""

    def append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Add a layer's keys and values [N, K, D] of the tokens of this step."""
        self.tail.layers[layer].append(keys, values, self.reserve, self.slack)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> Block:
        """Make room for a layer's keys and values [N, K, D], which the caller writes: their block.

        All heads must share a block.
        """
        block = self.tail.layers[layer].whole
        block.extend(keys, values, self.reserve, self.slack)
        return block

    def advance(self, count: int) -> range:
        """The positions of the next `count` tokens, taken from now on."""
        return self.place(range(self.next, self.next + count))

    def place(self, positions: Sequence[int]) -> range:
        """Take these positions for the next tokens, ascending; gaps stay gaps."""
        self.tail.positions.extend(positions)
        self.next = positions[-1] + 1 if positions else self.next
        return range(self.next - len(positions), self.next)

    def lengths(self) -> tuple[float, ...]:
        """Entries this row attends to, in every layer, as a head's average."""
        total = self.tail.lengths()
        for view in self.views:
            total = tuple(map(sum, zip(total, view.lengths(), strict=True)))
        return total

    def freeze(self) -> None:
        """Make the tail a shared segment; what follows goes to a new tail."""
        if any(self.tail.lengths()):
            self.views = (*self.views, SegmentView(self.tail))
            self.tail = Segment.empty(len(self.tail.layers))
            self.reserve = 0

    def pack(self, bits: int) -> None:
        """Freeze what is held and store it in `bits` bits a value; what follows stays whole."""
        assert not self.views, "only a private row can be packed"
        for entries in self.tail.layers:
            entries.pack(bits)
        self.freeze()

    def fork(self) -> SequenceCache:
        """A second row that continues from here; both share what is cached so far."""
        self.freeze()
        other = SequenceCache(len(self.tail.layers))
        other.views, other.next = self.views, self.next
        return other

    def before(self, position: int) -> SequenceCache:
        """A second row over the tokens before a position, which share what is cached of them."""
        self.freeze()
        other = SequenceCache(len(self.tail.layers))
        for view in self.views:
            beyond = sum(place >= position for place in view.segment.positions)
            if beyond < len(view.segment.positions):
                other.views += (SegmentView(view.segment, max(view.unseen, beyond)),)
        other.next = position
        return other

    def copied(self) -> SequenceCache:
        """A second row of its own copies; nothing may be shared yet."""
        return self.part([None] * len(self.tail.layers))

    def part(
        self,
        kept: Sequence[Entries | None],
        memory: dict[int, Tensor] | None = None,
    ) -> SequenceCache:
        """A row of copies: of each layer's heads the entries kept, all where it says None.

        Everything must lie in one segment, frozen or not. `memory` is what was remembered of
        all entries; the row's own when None.
        """
        assert len(self.views) + any(self.tail.lengths()) <= 1, "a part is taken of one segment"
        source = self.views[0].segment if self.views else self.tail
        other = SequenceCache(len(source.layers))
        other.tail = Segment(
            source.layers[layer].copied() if wanted is None else source.part(layer, wanted)
            for layer, wanted in enumerate(kept)
        )
        other.tail.positions = list(source.positions)
        other.next = self.next
        other.recent = self.recent.copied() if self.recent else None
        remembered = self.memory if memory is None else memory
        other.memory = {layer: _kept_memory(m, kept[layer]) for layer, m in remembered.items()}
        return other

    @classmethod
    def copied_at(cls, mark: CacheMark) -> SequenceCache:
        """The cache as it was at a mark: shared segments stay shared, its own tail is copied.

        Unlike a fork it leaves the other cache's tail in one piece. Nothing may have been
        dropped since.
        """
        assert mark.kept == mark.tail.drops(), "dropped entries cannot come back"
        cache = cls(len(mark.tail.layers))
        cache.views, cache.next = mark.views, mark.next
        extra = len(mark.tail.positions) - mark.positions
        cache.tail = Segment(entries.copied() for entries in mark.tail.layers)
        cache.tail.positions = mark.tail.positions[: mark.positions]
        for entries in cache.tail.layers:
            if entries.length:
                entries.drop_newest(extra)
        return cache

    @classmethod
    def spliced(cls, mark: CacheMark, start: CacheMark, onto: CacheMark) -> SequenceCache:
        """The entries between `start` and `mark` of one cache, copied behind another at `onto`.

        Nothing may have been dropped since `start`.
        """
        cache = cls.copied_at(onto)
        count = mark.positions - start.positions
        beyond = len(mark.tail.positions) - mark.positions
        for layer, entries in enumerate(mark.tail.layers):
            keys, values = entries.newest(count + beyond)
            own = (part[:, :count].transpose(0, 1) for part in (keys, values))
            cache.append(layer, *own)
        cache.place(mark.tail.positions[start.positions : mark.positions])
        return cache

    def mark(self) -> CacheMark:
        """This point, to come back to."""
        return CacheMark(
            self.views, self.tail, len(self.tail.positions), self.next, self.tail.drops()
        )

    def rewind(self, mark: CacheMark) -> None:
        """Forget everything since `mark`, since when nothing may have been dropped."""
        assert mark.kept == mark.tail.drops(), "dropped entries cannot come back"
        extra = len(mark.tail.positions) - mark.positions
        self.views, self.next = mark.views, mark.next
        if self.tail is mark.tail:
            self._shorten(extra)
            return
        if mark.positions:
            self.views = (*self.views, SegmentView(mark.tail, extra))
        self.tail = Segment.empty(len(self.tail.layers))

    def forget(self, count: int) -> None:
        """Forget the newest `count` tokens; they must all lie in the private tail."""
        assert count <= len(self.tail.positions), "only private tokens can be forgotten"
        self._shorten(count)
        self.next -= count

    def _shorten(self, count: int) -> None:
        del self.tail.positions[len(self.tail.positions) - count :]
        for entries in self.tail.layers:
            if entries.length:
                entries.drop_newest(count)

    def settle(self, position: int) -> None:
        """Forget what lies at or after a position, in layers that did not choose what to keep.

        Layers cut by `keep` must hold nothing from there on already.
        """
        assert not self.views, "only a private row can be settled"
        extra = sum(p >= position for p in self.tail.positions)
        for entries in self.tail.layers:
            if entries.kept is None:
                entries.drop_newest(extra)
        del self.tail.positions[len(self.tail.positions) - extra :]
        self.next = position

    def keep(self, layer: int, indices: Entries) -> None:
        """Keep of each head of a layer of the tail entries [M], ascending; free the others."""
        self.tail.keep(layer, indices)
        if layer in self.memory:
            self.memory[layer] = _kept_memory(self.memory[layer], indices)

    def ragged(self, layer: int) -> bool:
        """Whether heads of a layer may hold different numbers of entries."""
        held = [*(view.segment for view in self.views), self.tail]
        return any(segment.layers[layer].ragged for segment in held)

    def pieces(self, layer: int) -> Iterator[KVSlice]:
        """Every non-empty piece of a layer, oldest first."""
        for view in (*self.views, SegmentView(self.tail)):
            for part in view.segment.layers[layer].parts():
                if (seen := part.block.length - view.unseen) > 0:
                    block = part.block
                    yield KVSlice(part.heads, block.keys[:, :seen], block.values[:, :seen])

    def head_positions(self, layer: int, heads: int) -> list[Tensor]:
        """Logical positions of the entries of each head, oldest first."""
        runs = [
            view.segment.head_positions(layer, heads, view.unseen)
            for view in (*self.views, SegmentView(self.tail))
            if view.segment.layers[layer].length
        ]
        if not runs:
            return [torch.empty(0, dtype=torch.long)] * heads
        return [torch.cat([run[head] for run in runs]) for head in range(heads)]


def _kept_memory(memory: Tensor, indices: Entries | None) -> Tensor:
    """What was remembered [K, E] of the entries kept; filling where heads keep fewer."""
    if indices is None:
        return memory
    kept = [own[i[i < len(own)]] for own, i in zip(memory, indices, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)


def cache_bytes(rows: Iterable[SequenceCache]) -> int:
    """Bytes of the tensors that hold these rows; a shared segment counts once."""
    segments = {id(s): s for row in rows for s in segments_of(row)}
    return sum(segment.bytes() for segment in segments.values())


def segments_of(row: SequenceCache) -> Sequence[Segment]:
    """Every segment a row can see, its tail last."""
    return [*(view.segment for view in row.views), row.tail]
