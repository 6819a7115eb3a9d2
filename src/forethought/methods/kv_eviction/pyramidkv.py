"""Keep more cache entries in the first layers, by what the last prompt tokens attend to.

Paper: PyramidKV, arXiv:2406.02069; its integer schedule spends up to 13 % more than its
budget, this one exactly the budget.
Exact: when keep reaches the prompt's length; equals snapkv of the same settings at beta=1.
Cost: as snapkv.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.pyramid import Pyramid
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class PyramidKV(Evicting):
    """Budgets on a falling line over the layers."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    beta: Count = 20
    """How steep: the last layer keeps 1 / beta of the average, beside what always stays."""
    window: Count = 32
    """The last prompt tokens, which score and always stay."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="pyramidkv",
            keep=self.keep,
            importance=WindowAttention(self.window, self.kernel, self.pool),
            allocation=Pyramid(self.beta),
            newest=self.window,
            every=self.every,
            protect=self.protect,
        )
