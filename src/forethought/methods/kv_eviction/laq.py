"""Keep the cache entries that the model's own first answer tokens attend to.

Paper: Lookahead Q-Cache, arXiv:2505.20334 (EMNLP 2025): LAQ++, and LAQ at window=0
Published: paper; LAQ++. Code: a causal mask hides the prompt's end from the look-ahead. Here, as in
    the paper: the look-ahead attends to the whole prompt. A query group shares one choice, by its
    mean.
Exact: when keep reaches the prompt's length; the first token is always the exact one.
Cost: lookahead decode steps over an evicted copy of the cache, and two scorings of the whole
cache, which stays in memory until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.own_lookahead import OwnLookahead
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class LAQ(Evicting):
    """Decodes a few tokens over SnapKV's entries, and scores with their queries."""

    lookahead: CountOrZero = 8
    """Tokens decoded for their queries, greedily."""
    window: CountOrZero = 8
    """Last prompt tokens: they score the entries too, and always stay."""
    first_window: Count = 32
    """Window of the SnapKV eviction that the look-ahead decodes over."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """The look-ahead importance over a first eviction by SnapKV."""
        first = Eviction(
            self,
            WindowAttention(self.first_window, self.kernel, self.pool),
            newest=self.first_window,
            newest_name="first_window",
        )
        return Eviction(
            self,
            OwnLookahead(first, self.lookahead, self.window, self.kernel, self.pool),
            newest=self.window,
            lookahead=self.lookahead,
        )
