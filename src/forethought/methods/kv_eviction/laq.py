"""Keep the cache entries that the model's own first tokens attend to.

Paper: Lookahead Q-Cache, arXiv:2505.20334 (EMNLP 2025): LAQ++, and LAQ at window=0
Exact: when keep reaches the prompt's length; the first token is always the exact one.
Cost: lookahead steps behind a cut copy of the cache, and scoring the whole of it twice; the
whole cache stands until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.own_lookahead import OwnLookahead
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class LAQ(Evicting):
    """Writes a few tokens behind what SnapKV keeps, and scores with their queries."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    lookahead: CountOrZero = 8
    """Tokens written to score with, greedily."""
    window: CountOrZero = 8
    """The last prompt tokens, which score too and always stay."""
    first_window: Count = 32
    """Window of the cut behind which those tokens are written."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        first = Eviction(
            method="laq",
            keep=self.keep,
            importance=WindowAttention(self.first_window, self.kernel, self.pool),
            newest=self.first_window,
            newest_name="first_window",
            protect=self.protect,
        )
        return Eviction(
            method="laq",
            keep=self.keep,
            importance=OwnLookahead(first, self.lookahead, self.window, self.kernel, self.pool),
            newest=self.window,
            protect=self.protect,
        )
