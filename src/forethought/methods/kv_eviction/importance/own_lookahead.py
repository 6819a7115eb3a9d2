"""Attention of tokens the model wrote itself behind a cut cache (LAQ, arXiv:2505.20334)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.methods.kv_eviction._entries import after_newest, whole_places
from forethought.methods.kv_eviction._eviction import Eviction
from forethought.methods.kv_eviction.importance import Importance
from forethought.methods.kv_eviction.importance.window import pooled_until, window_scores


@dataclass(frozen=True)
class OwnLookahead(Importance):
    """What the model's own first tokens attend to, and the last `window` prompt tokens."""

    first: Eviction
    """How the cache is cut that those tokens are written behind."""
    lookahead: int
    window: int
    kernel: int
    pool: str

    def check(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError where the first cut cannot be made."""
        if self.lookahead:
            self.first.check(prompt)

    def of_cache(self, cache: FullCacheView) -> list[Tensor]:
        """[K, E] of every layer."""
        views, written = self._written(cache)
        if self.window + written == 0:  # nothing was written, so nothing new is known
            return self.first.importance.of_cache(cache)
        return [self._of_layer(view, written) for view in views]

    def _written(self, cache: FullCacheView) -> tuple[Sequence[LayerView], int]:
        kept = self.first.on_cache(cache) if self.lookahead else None
        if kept is None:
            return cache.layers, 0
        views = cache.write(kept, self.lookahead)
        return views, len(views[0].queries) - len(cache.layers[0].queries)

    def _of_layer(self, view: LayerView, written: int) -> Tensor:
        scores = window_scores(view, self.window + written, "mean")
        places = whole_places(view)
        until = after_newest(places) - self.window
        return pooled_until(scores, places, until, self.kernel, self.pool)
