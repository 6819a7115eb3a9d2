"""Keep the cache entries of unusual keys and of high attention within their part of the text.

Paper: Compactor, arXiv:2507.08143, with the defaults of the authors' code in kvpress: the share of
dropped entries weighs the leverage, and the attention's logits are not scaled.
Published: code (kvpress); CompactorPress. Each seed has its own random projection.
Exact: when keep reaches the prompt's length. The question counts only as part of the text.
Cost: attention within chunks of 256 tokens and a small random projection of the keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.importance.compact import Compact


@dataclass(frozen=True)
class Compactor(Evicting):
    """Blends leverage scores of keys with non-causal attention."""

    sinks: CountOrZero = 8
    """First entries, which always stay."""
    window: CountOrZero = 4
    """Last entries, which always stay."""
    sketch: Count = 48
    """Dimensions of the random projection of keys."""
    blending: Share | None = None
    """Weight of the leverage; the share of dropped entries by default."""
    scaled: bool = False
    """Divide logits by the square root of the head size, as attention does."""
    seed: CountOrZero = 0
    """Seed of the random projection."""

    def eviction(self) -> Eviction:
        """The blended scores."""
        importance = Compact(
            self.keep,
            self.sinks,
            self.window,
            self.sketch,
            self.blending,
            self.scaled,
            self.seed,
        )
        return Eviction(self, importance, newest=self.window, sinks=self.sinks)
