"""Keep the cache entries that a draft's guess of the answer attends to.

Paper: SpecKV, arXiv:2506.08373 (ICLR 2026)
Exact: when keep reaches the prompt's length; below it, dropped entries are out of the
answer's sight, layer by layer and head by head. One entry more than keep is left alone.
Cost: the draft reads the prompt and writes lookahead tokens; the target reads both once.
Each layer is cut as soon as it is read, so the whole cache never stands at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, Keep, OddCount
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.draft_lookahead import DraftLookahead


@dataclass(frozen=True)
class SpecKV(Evicting):
    """Scores entries by the queries of the last prompt tokens and of a drafted answer."""

    keep: Keep = 1024
    """Cache entries per layer and head after the prompt: a count, or a share of the prompt."""
    window: Count = 32
    """The last prompt tokens, which score with the look-ahead and always stay."""
    kernel: OddCount = 7
    """Scores are pooled over this many entries."""
    pool: Literal["max", "mean"] = "max"
    """How they are pooled."""
    reduction: Literal["max", "mean"] = "max"
    """Over the query group and the queries together."""
    lookahead: Count | None = None
    """Tokens the draft writes at most; as many as the answer may have when not given."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="speckv",
            keep=self.keep,
            importance=DraftLookahead(self.window, self.kernel, self.pool, self.reduction),
            newest=self.window,
            protect=self.protect,
            lookahead=self.lookahead,
        )
