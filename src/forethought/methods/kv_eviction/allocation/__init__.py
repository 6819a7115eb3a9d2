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
    fixed: int = 0
    """Entries per head that always stay."""

    def free(self) -> list[int]:
        """Droppable entries of each head."""
        counts: list[int] = self.scores.isfinite().sum(1).tolist()
        return counts


class Allocation(ABC):
    """Divides a budget over layers and heads.

    Its sum is exceeded by `entries_beyond` at most.
    """

    spans_layers: ClassVar[bool] = False
    """Whether layers compete, so that all are scored before the first eviction."""

    def entries_beyond(self, layers: int) -> float:
        """Most entries of a layer beyond the budget, on average over the layers."""
        return 0.0

    def uncounted(self) -> str:
        """Why the number of entries depends on the text; empty if sizes fix it."""
        return ""

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room with the scores that rank its entries; `places` [K, E] are their tokens'.

        Minus infinity excludes an entry.
        """
        return room

    @abstractmethod
    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """Per layer, the number of droppable entries each head keeps."""
