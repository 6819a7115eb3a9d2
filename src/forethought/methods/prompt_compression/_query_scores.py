"""Scores of prompt tokens by the attention of single queries: SpecPrefill and its variants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forethought.contracts.errors import BadParameterError
from forethought.contracts.roles import LayerView
from forethought.numerics.importance import pooled

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class QueryScores:
    """The maximum of a query's attention over layers and heads, averaged over queries."""

    window: int
    kernel: int
    pool: str
    rotary: bool
    layers: str
    best: dict[int, Tensor] = field(default_factory=dict)
    """By place of the query after the prompt's first token: the maximum [L] so far."""

    def look(self, view: LayerView) -> None:
        """Add a layer: the window's rows in prefill, the newest token's row in decode."""
        if not self._counts(view):
            return
        length, entries = view.prompt_length, view.keys.shape[1]
        count = min(self.window, length) if entries == length else 1
        if not count:
            return
        place = entries - count
        for rows in (view if self.rotary else view.unrotated()).window_rows(count):
            for row in rows[..., :length].unbind(2):
                self._add(place, row)
                place += 1

    def mean(self, draft: str) -> Tensor:
        """The mean [L] over all queries; BadParameterError if no layer counted."""
        if not self.best:
            raise BadParameterError(
                f"no layer of the draft {draft} has full attention", "use layers=all"
            )
        first, *others = self.best.values()
        total = sum(others, first) / len(self.best)
        return _pooled_within(total, self.kernel) if self.pool == "scores" else total

    def _counts(self, view: LayerView) -> bool:
        if self.layers == "full":
            return view.shape.window is None
        return self.layers == "all" or view.layer == view.layers - 1

    def _add(self, place: int, row: Tensor) -> None:
        """Add a row [K, G, L] of the query at `place`."""
        # Renormalised, as if the drafted tokens had no keys.
        seen = row / row.sum(-1, keepdim=True).clamp_min(1e-30)
        smooth = pooled(seen, self.kernel, "mean") if self.pool == "rows" else seen
        found = smooth.amax((0, 1))
        self.best[place] = self.best[place].maximum(found) if place in self.best else found


def _pooled_within(scores: Tensor, kernel: int) -> Tensor:
    """The mean [n] over windows of `kernel`, which are narrower at both ends."""
    return pooled(scores, kernel, "mean") / pooled(scores.new_ones(scores.shape), kernel, "mean")
