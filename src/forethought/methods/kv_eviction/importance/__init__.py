"""How much each cache entry of a layer matters: one file for each way to tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.methods.kv_eviction._entries import whole_places


class Importance(ABC):
    """Scores of cache entries, told once the whole prompt was read; higher matters more."""

    looks_ahead: ClassVar[bool] = False
    """Whether a drafted answer is read behind the prompt to score it by."""
    needs_all_queries: ClassVar[bool] = False
    """Whether the last few hundred queries of a prompt are not enough."""

    def check(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError where the prompt leaves no room to find the scores."""
        return

    @abstractmethod
    def of_cache(self, cache: FullCacheView) -> list[Tensor]:
        """[K, E] of every layer, over the prompt's entries."""


class LayerImportance(Importance):
    """Scores that a layer can tell by itself, as soon as it was read and again later."""

    @abstractmethod
    def of_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """[K, E], given the place of each entry (see `entry_places`).

        What stands at entries that must stay, or go, anyway does not count.
        """

    def of_cache(self, cache: FullCacheView) -> list[Tensor]:
        """[K, E] of every layer."""
        return [self.of_layer(view, whole_places(view)) for view in cache.layers]
