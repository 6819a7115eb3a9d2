"""One set of entries for all heads of a layer (TOVA, arXiv:2401.06104)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.uniform import Uniform

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Tova(Uniform):
    """Every head keeps the entries of the highest mean score over the heads."""

    def arranged(self, room: LayerRoom, places: Tensor) -> LayerRoom:
        """The room with the mean score of each entry in every head."""
        return replace(room, scores=room.scores.mean(0).expand_as(room.scores))
