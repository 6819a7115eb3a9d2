"""Scores of cache entries: one file for each importance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
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

    @property
    def scored_queries(self) -> int | None:
        """Newest prompt tokens whose attention rows are computed; None for all."""
        return self.newest_queries

    def scoring_tokens(self, prompt_length: int, asked: Callable[[str], int]) -> Sequence[int]:
        """At most the tokens of each pass of `score_cache`; see `Approximation.scoring_tokens`."""
        return ()

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
