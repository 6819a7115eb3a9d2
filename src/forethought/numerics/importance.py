"""Importance of prompt tokens from attention rows, and the selection of tokens to keep.

Tensors are used through their own methods, so this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from forethought.numerics.late_imports import np

if TYPE_CHECKING:
    from torch import Tensor

    from forethought.contracts.roles import LayerView


@dataclass
class AttentionRows:
    """Reduces a draft's attention to one score per prompt token, layer by layer.

    The reduction "max" takes the maximum over heads, queries, layers and decode steps. "mean"
    takes their sum, which ranks alike. "window-mean" averages over queries and takes the maximum
    over heads, layers and steps.
    """

    window: int
    layers: range
    """Layers whose attention counts."""
    weighted: bool
    reduction: str
    window_rows: list[Tensor] = field(default_factory=list)
    """At most one tensor [L], the reduction of the window's rows so far."""
    lookahead_rows: list[Tensor] = field(default_factory=list)
    """At most one tensor [L], the reduction of the rows of generated look-ahead tokens."""

    def look(self, view: LayerView) -> None:
        """Add one layer: the window's rows in prefill, the newest token's row in decode."""
        if view.layer not in self.layers:
            return
        length = view.prompt_length
        drafted = view.keys.shape[1] > length
        weights = [1.0] if drafted else self._weights(min(self.window, length))
        kind: Literal["max", "sum"] = "max" if self.reduction == "max" else "sum"
        rows = view.window_reduced(weights, kind)[..., :length]
        reductions = self.lookahead_rows if drafted else self.window_rows
        reductions[:] = [self._joined([*reductions, self._reduced(rows, len(weights))])]

    @property
    def scores(self) -> Tensor:
        """Scores [L], the reduction of all rows."""
        return self._joined([*self.window_rows, *self.lookahead_rows])

    def _weights(self, window: int) -> Sequence[float]:
        """The weight of each query of the window."""
        ends = (0, 1) if self.weighted and window > 1 else (1, 1)
        weights: list[float] = np.linspace(*ends, window).tolist()
        return weights

    def _reduced(self, rows: Tensor, queries: int) -> Tensor:
        """Reduce rows [K, G, L] over heads: [L]."""
        if self.reduction == "mean":
            return rows.sum((0, 1))
        return (rows if self.reduction == "max" else rows / queries).amax((0, 1))

    def _joined(self, reductions: Sequence[Tensor]) -> Tensor:
        first, *others = reductions
        for other in others:
            first = first + other if self.reduction == "mean" else first.maximum(other)
        return first


def pooled(scores: Tensor, kernel: int, kind: str) -> Tensor:
    """Pool scores [..., n] over windows of `kernel`, with zero padding.

    An even kernel has its extra neighbour on the right.
    """
    if kernel == 1:
        return scores
    left, length = (kernel - 1) // 2, scores.shape[-1]
    padded = scores.new_zeros((*scores.shape[:-1], length + kernel - 1))
    padded[..., left : left + length] = scores
    windows = padded.unfold(-1, kernel, 1)
    return windows.amax(-1) if kind == "max" else windows.mean(-1)


def best_ranks(reductions: Sequence[np.ndarray]) -> np.ndarray:
    """Fuse scores `reductions`, each [L], into one [L] that ranks a token by its best rank.

    Tokens taken in that order alternate between the rankings.
    """
    order = np.argsort(-np.stack(reductions), axis=1, kind="stable")
    return np.asarray(-np.argsort(order, axis=1).min(0))


def tokens_to_keep(
    scores: np.ndarray,
    budget: int,
    *,
    window: int,
    neighbours: int,
    protected: frozenset[int],
) -> list[int]:
    """The positions of the `budget` tokens to keep, ascending, by pooled scores [L].

    Protected tokens come first, then the last `window` tokens, then the best tokens, each with
    its `neighbours` nearest tokens including itself, until the budget is full.
    """
    length = len(scores)
    if budget >= length:
        return list(range(length))
    newest = range(length - 1, max(-1, length - 1 - window), -1)
    candidates = np.argsort(-scores, kind="stable")[:budget]
    back = (neighbours - 1) // 2
    offsets = np.array(sorted(range(-back, neighbours - back), key=abs))
    around = np.clip(candidates[:, None] + offsets, 0, length - 1).ravel()
    wanted = np.concatenate([sorted(protected), list(newest), around]).astype(int)
    _, first = np.unique(wanted, return_index=True)
    return sorted(wanted[np.sort(first)[:budget]].tolist())
