"""Scores in two stages: attention, then attention times projected values (arXiv:2502.03805)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.cost.flops import projected_flops
from forethought.methods.kv_eviction._eviction import Eviction
from forethought.methods.kv_eviction.importance import LayerImportance

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Critical(LayerImportance):
    """Another importance, and the norm of each value after the output projection."""

    first: Eviction
    """The eviction whose importance both stages use."""
    first_share: float = 0.5
    epsilon: float = 1e-4

    @property
    def newest_queries(self) -> int | None:
        """As many as the other importance needs."""
        return self.first.importance.newest_queries

    def layer_flops(self, layer: LayerSizes) -> float:
        """The other importance, and the projection of every value."""
        assert isinstance(self.first.importance, LayerImportance), "checked by its type"
        first = self.first.importance.layer_flops(layer)
        return first + projected_flops(layer, layer.entries) * (self.first_share < 1)

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E] of the first stage."""
        assert isinstance(self.first.importance, LayerImportance), "checked by its type"
        return self.first.importance.score_layer(view, places)

    def second_scores(self, view: LayerView, scores: Tensor) -> Tensor:
        """Scores [K, E] of the second stage: the first ones times the L1 norms."""
        return (scores + self.epsilon) * view.projected_norms(1).mean(1)
