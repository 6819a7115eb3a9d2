"""Attention of a drafted answer and of the last prompt tokens (SpecKV, arXiv:2506.08373)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.cost.flops import row_flops
from forethought.methods.kv_eviction._entries import after_newest
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.methods.kv_eviction.importance.window import pooled_until, window_scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DraftLookahead(LayerImportance):
    """Attention of a drafted answer, which the target prefills after the prompt."""

    window: int
    kernel: int
    pool: str
    reduction: str = "max"
    looks_ahead: ClassVar[bool] = True

    @property
    def newest_queries(self) -> int:
        """The window, and the last prompt token, which the look-ahead follows."""
        return self.window + 1

    def layer_flops(self, layer: LayerSizes) -> float:
        """The rows of the window, of the last prompt token and of the look-ahead."""
        return row_flops(layer.shape, layer.entries, self.window + 1 + layer.ahead)

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E], pooled over the entries before the window."""
        drafted = after_newest(places) - view.prompt_length
        scores = window_scores(view, self.window + drafted + 1, self.reduction)
        # The target reads the last prompt token again afterwards; the window lies before it.
        until = view.prompt_length - self.window - 1
        return pooled_until(scores, places, until, self.kernel, self.pool)
