"""Leverage of keys and non-causal attention within chunks (Compactor, arXiv:2507.08143)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.parameters import Amount, entries_kept
from forethought.contracts.records import LayerShape
from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.importance import pooled
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_RIDGE = 0.01
_LEAST_SPREAD = 1e-6
_ATTENTION_CHUNK = 256
_KERNEL = 3


@dataclass(frozen=True)
class Compact(LayerImportance):
    """Attention plus `blending` times leverage, each standardised over the layer.

    The first `sinks` and the last `window` entries take no part.
    """

    keep: Amount
    sinks: int = 8
    window: int = 4
    sketch: int = 48
    blending: float | None = None
    """The share of dropped entries if None."""
    scaled: bool = False
    seed: int = 0
    needs_all_queries: ClassVar[bool] = True

    def layer_flops(self, layer: LayerSizes) -> float:
        """Attention within chunks, and the leverage of sketched keys."""
        inner = self._inner(layer.entries)
        return self._products(layer.shape, inner.stop - inner.start)

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]."""
        length = view.keys.shape[1]
        inner = self._inner(length)
        scores = torch.zeros(view.keys.shape[:2], dtype=torch.float32, device=view.keys.device)
        if inner.stop - inner.start < 2:
            return scores
        view.charge(self._products(view.shape, inner.stop - inner.start))
        blending = self.blending
        if blending is None:
            blending = 1 - entries_kept(self.keep, length) / length
        attention = _standardised(self._attention(view, inner))
        leverage = _standardised(self._leverage(view, inner))
        scores[:, inner] = attention + blending * leverage
        return scores

    def _inner(self, length: int) -> slice:
        """The entries that take part."""
        return slice(self.sinks, max(self.sinks, length - self.window))

    def _products(self, layer: LayerShape, entries: int) -> float:
        if entries < 2:
            return 0.0
        pairs = entries * min(entries, _ATTENTION_CHUNK)
        sketching = entries * self.sketch * (layer.head_dim + 2 * self.sketch)
        return 2.0 * (layer.heads * layer.head_dim * pairs + layer.kv_heads * sketching)

    def _attention(self, view: LayerView, inner: slice) -> Tensor:
        """[K, n]: attention without a causal mask, times value norms, pooled."""
        keys, queries = view.keys[:, inner].float(), view.queries[inner].float()
        scale = view.shape.scale if self.scaled else 1.0
        parts = []
        for start in range(0, len(queries), _ATTENTION_CHUNK):
            chunk = slice(start, start + _ATTENTION_CHUNK)
            own = keys[:, chunk]
            asked = queries[chunk].reshape(own.shape[1], len(keys), -1, keys.shape[-1])
            logits = torch.einsum("nkgd,kmd->kgnm", asked, own) * scale
            parts.append(torch.softmax(logits, -1).sum(2).mean(1))
        norms = torch.linalg.vector_norm(view.values[:, inner].float(), dim=-1)
        return pooled(torch.cat(parts, 1) * norms, _KERNEL, "mean")

    def _leverage(self, view: LayerView, inner: slice) -> Tensor:
        """[K, n]: the leverage of each key before RoPE, after a random projection."""
        keys = view.keys[:, inner].float().transpose(0, 1)
        where = view.positions.expand(view.keys.shape[:2])[0, inner].to(keys.device)
        plain = view.rotate(keys, -where).transpose(0, 1)
        centred = plain - plain.mean(1, keepdim=True)
        generator = torch.Generator().manual_seed(self.seed * view.layers + view.layer)
        kv_heads, _, size = centred.shape
        projection = torch.randn(kv_heads, size, self.sketch, generator=generator)
        x = (centred @ projection.to(centred.device) / self.sketch**0.5).double()
        ridge = _RIDGE * torch.eye(self.sketch, device=x.device, dtype=x.dtype)
        solved = torch.linalg.solve(x.mT @ x + ridge, x.mT)
        leverage: Tensor = (x * solved.mT).sum(-1).clamp(min=0.0).float()
        return leverage


def _standardised(scores: Tensor) -> Tensor:
    """Scores [K, n] with mean 0 and deviation 1 over the layer."""
    return (scores - scores.mean()) / scores.std().clamp(min=_LEAST_SPREAD)
