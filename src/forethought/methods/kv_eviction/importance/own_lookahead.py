"""Attention of tokens that the model decodes over an evicted cache (LAQ, arXiv:2505.20334)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.contracts.score_work import PromptSizes, ScorePass, ScoreWork
from forethought.cost.flops import row_flops
from forethought.methods.kv_eviction._entries import after_newest, whole_places
from forethought.methods.kv_eviction._eviction import Eviction
from forethought.methods.kv_eviction.importance import Importance
from forethought.methods.kv_eviction.importance.window import pooled_until, window_scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OwnLookahead(Importance):
    """Attention of the model's own first tokens and of the last `window` prompt tokens."""

    first: Eviction
    """The eviction of the copy that the look-ahead decodes over."""
    lookahead: int = 8
    window: int = 8
    kernel: int = 7
    pool: str = "max"

    @property
    def newest_queries(self) -> int | None:
        """The longer window, unless the first eviction needs all."""
        first = self.first.importance.newest_queries
        return None if first is None else max(self.window, first)

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The first eviction's scores, the decode steps over its entries, and the last rows."""
        decoded = self.lookahead
        first = self.first.importance.score_work(prompt)
        if self.window + decoded == 0:
            return first
        rows = sum(
            row_flops(layer, prompt.length, self.window + decoded, decoded)
            for layer in prompt.shape.layers
        )
        steps = tuple(ScorePass(1, prompt.kept + step, decodes=True) for step in range(decoded))
        return ScoreWork(rows + first.flops * (decoded > 0), steps)

    def check(self, prompt: Prompt) -> None:
        """Raise BudgetTooSmallError if the first eviction is impossible."""
        if self.lookahead:
            self.first.check(prompt)

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """Scores [K, E] of every layer."""
        views, decoded = self._decoded(cache)
        if self.window + decoded == 0:  # no query besides those of the first eviction
            return self.first.importance.score_cache(cache)
        return [self._of_layer(view, decoded) for view in views]

    def _decoded(self, cache: FullCacheView) -> tuple[Sequence[LayerView], int]:
        kept = self.first.on_cache(cache) if self.lookahead else None
        if kept is None:
            return cache.layers, 0
        views = cache.write(kept, self.lookahead)
        return views, len(views[0].queries) - len(cache.layers[0].queries)

    def _of_layer(self, view: LayerView, decoded: int) -> Tensor:
        scores = window_scores(view, self.window + decoded, "mean")
        places = whole_places(view)
        until = after_newest(places) - self.window
        return pooled_until(scores, places, until, self.kernel, self.pool)
