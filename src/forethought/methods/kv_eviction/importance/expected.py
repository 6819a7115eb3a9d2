"""Expected attention of future queries (Expected Attention, arXiv:2510.00636)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.records import LayerShape
from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 64  # future positions whose rotations are in memory together


@dataclass(frozen=True)
class ExpectedImportance(LayerImportance):
    """Future queries follow a Gaussian with the mean and covariance of the recent queries."""

    future: int
    sinks: int
    covariance: bool = True
    value_norms: bool = True
    epsilon: float = 0.0
    needs_all_queries: ClassVar[bool] = True

    def layer_flops(self, layer: LayerSizes) -> float:
        """The covariance of all queries, then one quadratic form for each entry and head."""
        return self._products(layer.shape, layer.held_queries, layer.entries)

    def _products(self, layer: LayerShape, queries: int, entries: int) -> float:
        scored = queries + entries * self.covariance
        return 2.0 * layer.heads * layer.head_dim**2 * scored

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]: the mean over the query group, times the norm of each value."""
        apart = (places < self.sinks).unsqueeze(1)
        logits = self.logits(view).masked_fill_(apart, -torch.inf)
        scores = torch.softmax(logits, -1).mean(1)
        if not self.value_norms:
            return scores
        norms: Tensor = torch.linalg.vector_norm(view.values.float(), dim=-1)
        return (scores + self.epsilon) * norms

    def logits(self, view: LayerView) -> Tensor:
        """[K, G, E]: the logarithm of the expected exponential of query times key."""
        keys = view.keys.float() * view.shape.scale
        kv_heads, _, size = keys.shape
        mean, spread = self._moments(view)
        view.charge(self._products(view.shape, len(view.queries), keys.shape[1]))
        mean, spread = mean.view(kv_heads, -1, size), spread.view(kv_heads, -1, size, size)
        logits = torch.einsum("kgd,ked->kge", mean, keys)
        if self.covariance:
            for group, own in enumerate(spread.unbind(1)):
                logits[:, group] += ((keys @ own) * keys).sum(-1) / 2
        return logits

    def _moments(self, view: LayerView) -> tuple[Tensor, Tensor]:
        """Mean [H, D] and covariance [H, D, D] of queries, averaged over future positions."""
        where = _query_positions(view)
        counted = where >= self.sinks
        end = int(where[-1]) + 1
        where = where[counted]
        plain = view.rotate(view.queries[counted].float(), -where).transpose(0, 1)
        mean = plain.mean(1)
        apart = plain - mean[:, None]
        spread = apart.transpose(1, 2) @ apart / max(1, len(where))
        turn = average_turn(view, range(end, end + self.future))
        return mean @ turn, turn.T @ spread @ turn


def _query_positions(view: LayerView) -> Tensor:
    """[N]: positions of the recent queries, even if their entries were evicted."""
    device, count = view.keys.device, len(view.queries)
    if not view.decoding and view.held is None and count == view.keys.shape[1]:
        return view.positions.expand(view.keys.shape[0], count)[0].to(device)
    end = int(view.positions.max()) + 1
    return torch.arange(end - count, end, device=device)


def average_turn(view: LayerView, positions: range) -> Tensor:
    """[D, D]: a row vector times this is the vector, rotated and averaged over positions."""
    size, device = view.queries.shape[-1], view.keys.device
    total = torch.zeros(size, size, device=device)
    axes = torch.eye(size, device=device)
    for start in range(0, len(positions), _BLOCK):
        where = torch.tensor(positions[start : start + _BLOCK], device=device)
        total += view.rotate(axes.expand(len(where), -1, -1), where).sum(0)
    return total / len(positions)
