"""Scores of cache entries: one file for each importance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScoreWork
from forethought.methods.kv_eviction._entries import whole_places

if TYPE_CHECKING:
    from torch import Tensor


class Importance(ABC):
    """Scores of cache entries after prefill; entries of higher score stay."""

    looks_ahead: ClassVar[bool] = False
    """Whether the target prefills a drafted answer after the prompt, for its queries."""
    needs_all_queries: ClassVar[bool] = False
    """Whether the scores need more than the last few hundred queries."""

    reads_inputs: ClassVar[bool] = False
    """Whether the scores need the inputs of attention, during decode too."""
    first_share: float = 1.0
    """Share of the budget that `score_cache` fills; `second_scores` choose the rest."""

    @property
    def newest_queries(self) -> int | None:
        """Newest prompt tokens whose queries score; None for all."""
        return None if self.needs_all_queries else 0

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The work of the scores of a whole prompt; see `Approximation.score_work`."""
        return ScoreWork()

    def uncounted(self) -> str:
        """The part of the work that `score_work` leaves out; empty if there is none."""
        return ""

    def check(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if the budget is too small to compute the scores."""
        return

    @abstractmethod
    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """Scores [K, E] of every layer, over the prompt's entries."""

    def second_scores(self, view: LayerView, scores: Tensor) -> Tensor:
        """Scores [K, E] of a layer that choose the last entries, given the first scores."""
        return scores


class LayerImportance(Importance):
    """Scores that need one layer alone, during prefill and again during decode."""

    @abstractmethod
    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E], given the place of each entry (see `entry_places`).

        Scores of padding and of entries that always stay have no effect.
        """

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """Scores [K, E] of every layer."""
        return [self.score_layer(view, whole_places(view)) for view in cache.layers]

    def layer_flops(self, layer: LayerSizes) -> float:
        """FLOPs of the products of both scores of a layer."""
        return 0.0

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The products of all layers."""
        return ScoreWork(sum(self.layer_flops(layer) for layer in prompt.layers()))
