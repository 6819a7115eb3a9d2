"""Keep the cache entries that a drafted answer attends to.

Paper: SpecKV, arXiv:2506.08373 (ICLR 2026)
Published: code; furiosa-ai/draft-based-approx-llm, every shipped configuration. The sparse prefill
    of the paper is vertical-slash.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see the entries that
its layer and head dropped. A prompt one entry longer than keep is left whole.
Cost: the draft prefills the prompt and decodes lookahead tokens; the target prefills both. Each
layer is evicted right after its prefill, so the whole cache is never in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.draft import DraftLookahead


@dataclass(frozen=True)
class SpecKV(Evicting):
    """Scores entries by the queries of the last prompt tokens and of a drafted answer."""

    window: Count = 32
    """Last prompt tokens: they score the entries with the look-ahead, and always stay."""
    kernel: OddCount = 7
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["max", "mean"] = "max"
    """Pooling of the scores."""
    reduction: Literal["max", "mean"] = "max"
    """Reduction of the attention over the query group and the queries."""
    lookahead: Count | None = None
    """Most tokens the draft decodes; the answer's token limit by default."""

    def eviction(self) -> Eviction:
        """The attention of the look-ahead and of the window."""
        return Eviction(
            self,
            DraftLookahead(self.window, self.kernel, self.pool, self.reduction),
            newest=self.window,
            lookahead=self.lookahead,
        )
