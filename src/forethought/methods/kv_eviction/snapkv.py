"""Keep the cache entries that the last prompt tokens attend to.

Paper: SnapKV, arXiv:2404.14469 (NeurIPS 2024)
Exact: when keep reaches the prompt's length; below it, dropped entries are out of the
answer's sight. The scores know the question, not the answer.
Cost: attention rows of the window in every layer; the prompt is still read whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class SnapKV(Evicting):
    """Scores entries by the attention of an observation window at the prompt's end."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    window: Count = 32
    """The last prompt tokens, which score and always stay."""
    kernel: OddCount = 5
    """Scores are pooled over this many entries."""
    pool: Literal["mean", "max"] = "mean"
    """How they are pooled."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="snapkv",
            keep=self.keep,
            importance=WindowAttention(self.window, self.kernel, self.pool),
            newest=self.window,
            every=self.every,
            protect=self.protect,
        )
