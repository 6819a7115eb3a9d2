"""The highest reconstruction score of each head's entries (head-level KVzip, arXiv:2505.23416)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.roles import FullCacheView
from forethought.contracts.score_work import PromptSizes, ScoreWork
from forethought.methods.kv_eviction._entries import for_heads
from forethought.methods.kv_eviction.importance import Importance
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction, text_span

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RepeatingHeads(Importance):
    """Every entry of a head has the score of its best one."""

    chunk: int = 2048
    overlap: int = 8
    sinks: int = 4

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """That of the reconstruction."""
        return self._reconstruction.score_work(prompt)

    @property
    def _reconstruction(self) -> Reconstruction:
        return Reconstruction(self.chunk, self.overlap, self.sinks)

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """The highest score of its head for every entry."""
        first, last = text_span(cache.prompt)
        scores = self._reconstruction.score_cache(cache)
        if first == last:
            return scores
        pairs = zip(cache.layers, scores, strict=True)
        return [for_heads(view, own[:, first:last].amax(1)) for view, own in pairs]
