"""The newer an entry, the more important (StreamingLLM, arXiv:2309.17453)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.methods.kv_eviction.importance import LayerImportance

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Recency(LayerImportance):
    """The place of each entry in the text."""

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]."""
        return places.float()
