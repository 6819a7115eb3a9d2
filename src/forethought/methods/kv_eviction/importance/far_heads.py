"""How far the heads look back, by their mean query and key (DuoAttention, arXiv:2410.10819)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.contracts.score_work import PromptSizes, ScoreWork
from forethought.methods.kv_eviction._entries import for_heads
from forethought.methods.kv_eviction.importance import Importance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_SPAN = 500  # positions over which the mean query and the mean key are laid out


@dataclass(frozen=True)
class FarHeads(Importance):
    """The reach of each head's mean query over its mean key at every distance."""

    @property
    def newest_queries(self) -> None:
        """All queries."""
        return

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The products of the mean query and the mean key of every layer."""
        return ScoreWork(sum(_products(layer) for layer in prompt.shape.layers))

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """The reach of its head for every entry."""
        return [for_heads(view, self.reach(view)) for view in cache.layers]

    def reach(self, view: LayerView) -> Tensor:
        """[K]: the mean of the cumulative attention from the first key on, over the query group.

        It is about a half for a head that attends evenly, and less for one that looks back a
        short way.
        """
        kv_heads, entries, size = view.keys.shape
        where = view.positions.expand(kv_heads, entries)[0].to(view.keys.device)
        queries = view.rotate(view.queries.float(), -where[-len(view.queries) :]).mean(0)
        keys = view.rotate(view.keys.float().transpose(0, 1), -where).mean(0)
        places = torch.arange(_SPAN, device=keys.device)
        laid_keys = view.rotate(keys.expand(_SPAN, -1, -1).contiguous(), places)
        last = view.rotate(queries[None].contiguous(), places[-1:])[0].view(kv_heads, -1, size)
        view.charge(_products(view.shape))
        logits = torch.einsum("kgd,nkd->kgn", last, laid_keys) * view.shape.scale
        return torch.softmax(logits, -1).cumsum(-1).mean((1, 2))


def _products(layer: LayerShape) -> float:
    return 2.0 * layer.heads * layer.head_dim * _SPAN
