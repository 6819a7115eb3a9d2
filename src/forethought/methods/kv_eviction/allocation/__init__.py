"""Entries that each layer and head keeps: one file for each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LayerRoom:
    """The budget of one layer, besides the entries that always stay."""

    layer: int
    layers: int
    """Layers of the model."""
    per_head: int
    """Entries per head, on average over heads and layers."""
    capacity: int
    """Droppable entries of a head before any eviction."""
    scores: Tensor
    """[K, E]; minus infinity at entries that cannot be chosen."""

    def free(self) -> list[int]:
        """Droppable entries of each head."""
        counts: list[int] = self.scores.isfinite().sum(1).tolist()
        return counts


class Allocation(ABC):
    """Divides a budget over layers and heads and never exceeds its sum."""

    spans_layers: ClassVar[bool] = False
    """Whether layers compete, so that all are scored before the first eviction."""

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room with the scores that rank its entries; `places` [K, E] are their tokens'.

        Minus infinity excludes an entry.
        """
        return room

    @abstractmethod
    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """Per layer, the number of droppable entries each head keeps."""
