"""Segments: a run of tokens with their keys and values in every layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.roles import Entries
from forethought.engine.cache.blocks import LayerEntries


class Segment:
    """A run of tokens: their positions, and their keys and values in every layer."""

    def __init__(self, layers: Iterable[LayerEntries]) -> None:
        self.layers = list(layers)
        self.positions: list[int] = []
        self.packed = False
        """Whether the entries are quantised."""

    @classmethod
    def empty(cls, layers: int) -> Segment:
        """A segment without tokens."""
        return cls(LayerEntries() for _ in range(layers))

    @classmethod
    def of(cls, parts: Sequence[SegmentPart]) -> Segment:
        """Copies of parts of segments without evictions, one after the other."""
        total = sum(part.stop - part.start for part in parts)
        made = cls.empty(len(parts[0].segment.layers))
        for part in parts:
            for own, entries in zip(made.layers, part.segment.layers, strict=True):
                assert entries.kept is None, "a part is taken where nothing was evicted"
                keys, values = (
                    held[:, part.start : part.stop].transpose(0, 1)
                    for held in (entries.keys, entries.values)
                )
                own.append(keys, values, total, slack=0)
            made.positions += part.segment.positions[part.start : part.stop]
        return made

    def lengths(self) -> tuple[float, ...]:
        """Entries per head in each layer, averaged over heads."""
        return tuple(entries.length for entries in self.layers)

    def kept_counts(self) -> tuple[int, ...]:
        """Entries that each layer kept at its last eviction, over all heads; -1 without one."""
        kept = [entries.kept for entries in self.layers]
        return tuple(-1 if tokens is None else sum(map(len, tokens)) for tokens in kept)

    def bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(entries.bytes for entries in self.layers)

    def keep(self, layer: int, indices: Entries) -> None:
        """Keep the entries at `indices` [M] of each head, ascending; free all others."""
        self.layers[layer] = self.subset(layer, indices)

    def subset(self, layer: int, indices: Entries) -> LayerEntries:
        """Copies of a layer's entries at `indices`, ascending, for each head."""
        tokens = self.token_indices(layer, len(indices))
        where = [own[kept.cpu()] for own, kept in zip(tokens, indices, strict=True)]
        return self.layers[layer].subset(indices, where)

    def head_positions(self, layer: int, heads: int, unseen: int = 0) -> list[Tensor]:
        """Position ids of each head's entries, without the `unseen` newest."""
        seen = self.positions[: len(self.positions) - unseen] if unseen else self.positions
        where = _ascending(seen)
        tokens = self.token_indices(layer, heads)
        return [where[own[: len(own) - unseen]] for own in tokens]

    def token_indices(self, layer: int, heads: int) -> list[Tensor]:
        """The token of the segment that each entry belongs to, as indices for each head."""
        entries, total = self.layers[layer], len(self.positions)
        if entries.kept is None:
            return [torch.arange(total)] * heads
        return [
            torch.cat([kept, torch.arange(total - (held - len(kept)), total)])
            for kept, held in zip(entries.kept, _held(entries, heads), strict=True)
        ]


def _ascending(positions: Sequence[int]) -> Tensor:
    """Strictly ascending positions as a tensor; without gaps, none of them is read."""
    if positions and positions[-1] - positions[0] + 1 == len(positions):
        return torch.arange(positions[0], positions[-1] + 1)
    return torch.tensor(positions, dtype=torch.long)


def _held(entries: LayerEntries, heads: int) -> list[int]:
    """Entries of each head of a layer."""
    lengths = [part.block.length for part in entries.parts()]
    return lengths if len(lengths) > 1 else lengths * heads


@dataclass(frozen=True)
class SegmentPart:
    """The tokens of a segment from `start` to `stop`."""

    segment: Segment
    start: int
    stop: int


@dataclass(frozen=True)
class SegmentView:
    """A frozen segment as one sequence sees it: all tokens but the `unseen` newest."""

    segment: Segment
    unseen: int = 0

    def lengths(self) -> tuple[float, ...]:
        """Visible entries per head in each layer, averaged over heads."""
        return tuple(max(0, length - self.unseen) for length in self.segment.lengths())


@dataclass(frozen=True)
class KVSlice:
    """Keys and values [K, E, D] of some KV heads of a layer."""

    heads: slice
    keys: Tensor
    values: Tensor
