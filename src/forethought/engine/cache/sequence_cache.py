"""The KV cache of one sequence: shared frozen segments, then a private tail.

A fork freezes the tail, so both sequences use the same tensors. Eviction rewrites a layer of the
tail with the kept entries: memory falls and positions stay. The number of entries and the next
position are separate values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import Entries
from forethought.engine.cache.blocks import SLACK, Block
from forethought.engine.cache.query_window import QueryWindow
from forethought.engine.cache.segment import KVSlice, Segment, SegmentView


@dataclass(frozen=True)
class CacheMark:
    """A point that a cache can be rewound to or copied from."""

    views: tuple[SegmentView, ...]
    tail: Segment
    positions: int
    next: int
    kept_counts: tuple[int, ...]
    """`Segment.kept_counts` of the tail at this point."""


class SequenceCache:
    """The cached entries of one sequence, and the position of its next token."""

    def __init__(self, layers: int, reserve: int = 0) -> None:
        self.views: tuple[SegmentView, ...] = ()
        self.tail = Segment.empty(layers)
        self.next = 0
        self.reserve = reserve
        self.slack = SLACK
        """Minimum entries by which a full layer grows; large layers grow by a sixteenth."""
        self.query_window: QueryWindow | None = None
        """The newest queries; None if no method asks for them after prefill."""
        self.memory: dict[int, Tensor] = {}
        """Scores [K, E] of the tail's entries that a method remembers, by layer."""

    def append(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Append keys and values [N, K, D] of this step's tokens to a layer."""
        self.tail.layers[layer].append(keys, values, self.reserve, self.slack)

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> Block:
        """Make room for a layer's keys and values [N, K, D]; returns the block to fill.

        All heads must share a block.
        """
        block = self.tail.layers[layer].whole
        block.extend(keys, values, self.reserve, self.slack)
        return block

    def advance(self, count: int) -> range:
        """Take the next `count` positions for new tokens."""
        return self.place(range(self.next, self.next + count))

    def place(self, positions: Sequence[int]) -> range:
        """Take these ascending positions for new tokens; gaps are allowed."""
        self.tail.positions.extend(positions)
        self.next = positions[-1] + 1 if positions else self.next
        return range(self.next - len(positions), self.next)

    def lengths(self) -> tuple[float, ...]:
        """Entries that attention visits in each layer, averaged over heads."""
        total = self.tail.lengths()
        for view in self.views:
            total = tuple(map(sum, zip(total, view.lengths(), strict=True)))
        return total

    def freeze(self) -> None:
        """Make the tail a shared segment and start an empty tail."""
        if any(self.tail.lengths()):
            self.views = (*self.views, SegmentView(self.tail))
            self.tail = Segment.empty(len(self.tail.layers))
            self.reserve = 0

    def pack(self, bits: int) -> None:
        """Quantise all entries to `bits` bits a value and freeze them; later entries are exact."""
        assert not self.views, "only a private cache can be packed"
        for entries in self.tail.layers:
            entries.pack(bits)
        self.tail.packed = True
        self.freeze()

    def fork(self) -> SequenceCache:
        """A cache that continues from here and shares all entries so far."""
        self.freeze()
        other = SequenceCache(len(self.tail.layers))
        other.views, other.next = self.views, self.next
        return other

    def before(self, position: int) -> SequenceCache:
        """A cache of the tokens before a position; it shares their entries."""
        self.freeze()
        other = SequenceCache(len(self.tail.layers))
        for view in self.views:
            beyond = sum(place >= position for place in view.segment.positions)
            if beyond < len(view.segment.positions):
                other.views += (SegmentView(view.segment, max(view.unseen, beyond)),)
        other.next = position
        return other

    def copy(self) -> SequenceCache:
        """A private copy; the entries must lie in one segment."""
        return self.subset([None] * len(self.tail.layers))

    def subset(
        self,
        kept: Sequence[Entries | None],
        memory: dict[int, Tensor] | None = None,
    ) -> SequenceCache:
        """A private copy of the kept entries: indices for each layer, None for all.

        The entries must lie in one segment, frozen or not. `memory` are the remembered scores of
        all entries; None for the cache's own.
        """
        assert len(self.views) + any(self.tail.lengths()) <= 1, "a part is taken of one segment"
        source = self.views[0].segment if self.views else self.tail
        other = SequenceCache(len(source.layers))
        other.tail = Segment(
            source.layers[layer].copy() if wanted is None else source.subset(layer, wanted)
            for layer, wanted in enumerate(kept)
        )
        other.tail.positions = list(source.positions)
        other.next = self.next
        other.query_window = self.query_window.copy() if self.query_window else None
        remembered = self.memory if memory is None else memory
        other.memory = {layer: _kept_memory(m, kept[layer]) for layer, m in remembered.items()}
        return other

    @classmethod
    def copy_at(cls, mark: CacheMark) -> SequenceCache:
        """The cache at a mark: it shares the frozen segments and copies the tail.

        Unlike a fork, it leaves the other cache's tail whole. No entry may have been evicted since.
        """
        assert mark.kept_counts == mark.tail.kept_counts(), "dropped entries cannot come back"
        cache = cls(len(mark.tail.layers))
        cache.views, cache.next = mark.views, mark.next
        extra = len(mark.tail.positions) - mark.positions
        cache.tail = Segment(entries.copy() for entries in mark.tail.layers)
        cache.tail.positions = mark.tail.positions[: mark.positions]
        for entries in cache.tail.layers:
            if entries.length:
                entries.drop_newest(extra)
        return cache

    @classmethod
    def spliced(cls, mark: CacheMark, start: CacheMark, onto: CacheMark) -> SequenceCache:
        """The entries between `start` and `mark` of one cache, copied after `onto` of another.

        No entry may have been evicted since `start`.
        """
        cache = cls.copy_at(onto)
        count = mark.positions - start.positions
        beyond = len(mark.tail.positions) - mark.positions
        for layer, entries in enumerate(mark.tail.layers):
            keys, values = entries.newest(count + beyond)
            own = (part[:, :count].transpose(0, 1) for part in (keys, values))
            cache.append(layer, *own)
        cache.place(mark.tail.positions[start.positions : mark.positions])
        return cache

    def mark(self) -> CacheMark:
        """The current end of the cache."""
        return CacheMark(
            self.views, self.tail, len(self.tail.positions), self.next, self.tail.kept_counts()
        )

    def rewind(self, mark: CacheMark) -> None:
        """Drop all tokens since `mark`; no entry may have been evicted since."""
        assert mark.kept_counts == mark.tail.kept_counts(), "dropped entries cannot come back"
        extra = len(mark.tail.positions) - mark.positions
        self.views, self.next = mark.views, mark.next
        if self.tail is mark.tail:
            self._drop_from_tail(extra)
            return
        if mark.positions:
            self.views = (*self.views, SegmentView(mark.tail, extra))
        self.tail = Segment.empty(len(self.tail.layers))

    def drop_newest(self, count: int) -> None:
        """Drop the newest `count` tokens, which must lie in the private tail."""
        assert count <= len(self.tail.positions), "only private tokens can be dropped"
        self._drop_from_tail(count)
        self.next -= count

    def retract(self, count: int) -> None:
        """Take the newest `count` tokens back; `restore` may return them.

        Unlike those of other tokens, their positions need not ascend.
        """
        self._drop_from_tail(count)
        self.next = self.tail.positions[-1] + 1

    def restore(self, offset: int) -> None:
        """Return the token whose entries lie `offset` places behind the end, as the newest one.

        Nothing may have been appended since it was retracted.
        """
        for entries in self.tail.layers:
            entries.restore(offset)
        self.advance(1)

    def _drop_from_tail(self, count: int) -> None:
        del self.tail.positions[len(self.tail.positions) - count :]
        for entries in self.tail.layers:
            if entries.length:
                entries.drop_newest(count)

    def truncate(self, position: int) -> None:
        """Drop the tokens from a position on, in layers without an eviction.

        Layers with an eviction must hold no entry from that position on.
        """
        assert not self.views, "only a private cache can be truncated"
        extra = sum(p >= position for p in self.tail.positions)
        for entries in self.tail.layers:
            if entries.kept is None:
                entries.drop_newest(extra)
        del self.tail.positions[len(self.tail.positions) - extra :]
        self.next = position

    def keep(self, layer: int, indices: Entries) -> None:
        """Keep the entries at `indices` [M] of each head in the tail, ascending; free the rest."""
        self.tail.keep(layer, indices)
        if layer in self.memory:
            self.memory[layer] = _kept_memory(self.memory[layer], indices)

    def ragged(self, layer: int) -> bool:
        """Whether the heads of a layer may hold different numbers of entries."""
        held = [*(view.segment for view in self.views), self.tail]
        return any(segment.layers[layer].ragged for segment in held)

    def kv_slices(self, layer: int) -> Iterator[KVSlice]:
        """The non-empty slices of a layer, oldest first."""
        for view in (*self.views, SegmentView(self.tail)):
            for part in view.segment.layers[layer].parts():
                if (seen := part.block.length - view.unseen) > 0:
                    block = part.block
                    yield KVSlice(part.heads, block.keys[:, :seen], block.values[:, :seen])

    def head_positions(self, layer: int, heads: int) -> list[Tensor]:
        """Position ids of each head's entries, oldest first."""
        runs = [
            view.segment.head_positions(layer, heads, view.unseen)
            for view in (*self.views, SegmentView(self.tail))
            if view.segment.layers[layer].length
        ]
        if not runs:
            return [torch.empty(0, dtype=torch.long)] * heads
        return [torch.cat([run[head] for run in runs]) for head in range(heads)]


def _kept_memory(memory: Tensor, indices: Entries | None) -> Tensor:
    """The remembered scores [K, E] of the kept entries, padded if heads keep different numbers."""
    if indices is None:
        return memory
    kept = [own[i[i < len(own)]] for own, i in zip(memory, indices, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)


def cache_bytes(caches: Iterable[SequenceCache]) -> int:
    """Bytes of the tensors behind these caches; a shared segment counts once."""
    segments = {id(s): s for cache in caches for s in segments_of(cache)}
    return sum(segment.bytes() for segment in segments.values())


def segments_of(cache: SequenceCache) -> Sequence[Segment]:
    """Every segment of a cache, its tail last."""
    return [*(view.segment for view in cache.views), cache.tail]
