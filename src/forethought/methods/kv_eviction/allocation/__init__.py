"""How many entries each layer and head keeps: one file for each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class LayerRoom:
    """What one layer has to share out, beyond the entries that stay anyway."""

    layer: int
    layers: int
    """How many the model has, also where not all are shared out together."""
    each: int
    """Entries for a head, on average over heads and layers."""
    capacity: int
    """Entries of a head that would be free to keep or drop had none been dropped yet."""
    scores: Tensor
    """[K, E]; minus infinity at entries that are not free."""

    def free(self) -> list[int]:
        """Of each head, how many entries are free to keep or drop."""
        counts: list[int] = self.scores.isfinite().sum(1).tolist()
        return counts


class Allocation(ABC):
    """Shares out budgets: no layer, or no set of layers, gets more than its sum."""

    spans_layers: ClassVar[bool] = False
    """Whether layers compete, so that all must be scored before one is cut."""

    @abstractmethod
    def counts(self, rooms: Sequence[LayerRoom]) -> list[list[int]]:
        """For each room, how many free entries each head keeps."""
