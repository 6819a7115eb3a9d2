"""Keep cache entries by any importance, under any allocation, once or again and again.

Paper: none of its own; every published eviction here is a point among these settings.
Exact: when keep reaches the prompt's length and every=0; below it, dropped entries are out of
the answer's sight.
Cost: that of the importance chosen. own-lookahead, reconstruction and allocation=global hold
the whole cache until they choose, and cannot choose again while an answer is written; nor can
draft, and only importances that do not need every query go with global.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep, OddCount, Share
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation import Allocation
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.allocation.overall import Overall
from forethought.methods.kv_eviction.allocation.pyramid import Pyramid
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance import Importance
from forethought.methods.kv_eviction.importance.accumulated import AccumulatedAttention
from forethought.methods.kv_eviction.importance.chance import Chance
from forethought.methods.kv_eviction.importance.draft_lookahead import DraftLookahead
from forethought.methods.kv_eviction.importance.expected import ExpectedImportance
from forethought.methods.kv_eviction.importance.key_norm import KeyNorm
from forethought.methods.kv_eviction.importance.own_lookahead import OwnLookahead
from forethought.methods.kv_eviction.importance.recency import Recency
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class Evict(Evicting):
    """A free choice of importance, allocation and time."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    importance: Literal[
        "window",
        "draft",
        "own-lookahead",
        "accumulated",
        "expected",
        "reconstruction",
        "recency",
        "key-norm",
        "random",
    ] = "window"
    """What makes an entry worth keeping."""
    allocation: Literal["uniform", "pyramid", "adaptive", "adaptive-pyramid", "global"] = "uniform"
    """Which layers and heads keep how many; adaptive is over the heads of a layer."""
    every: CountOrZero = 0
    """Tokens written between two cuts, for which room is left; 0 cuts once, after the prompt."""
    window: Count = 32
    """The last tokens, which always stay; window, draft and own-lookahead score with them."""
    sinks: CountOrZero = 4
    """Entries that always stay at the start."""
    kernel: OddCount = 7
    """What attention of single queries is pooled over."""
    pool: Literal["max", "mean"] = "max"
    """How it is pooled."""
    lookahead: Count | None = None
    """Tokens of draft (when not given, as many as the answer may have) or own-lookahead (8)."""
    future: Count = 512
    """Positions that expected looks ahead."""
    chunk: Count = 2048
    """Tokens that reconstruction repeats at a time."""
    alpha: Share = 0.2
    """Share of the average that adaptive leaves every head for itself."""
    beta: Count = 20
    """How steep a pyramid is."""
    seed: CountOrZero = 0
    """Of random."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return self._made_of(self._importance(), self._allocation())

    def _made_of(self, importance: Importance, allocation: Allocation) -> Eviction:
        return Eviction(
            method="evict",
            keep=self.keep,
            importance=importance,
            allocation=allocation,
            newest=self.window,
            sinks=self.sinks,
            every=self.every,
            protect=self.protect,
            lookahead=self.lookahead,
        )

    def _importance(self) -> Importance:
        window = WindowAttention(self.window, self.kernel, self.pool)
        match self.importance:
            case "window":
                return window
            case "draft":
                return DraftLookahead(self.window, self.kernel, self.pool, "max")
            case "own-lookahead":
                first = self._made_of(window, Uniform())
                return OwnLookahead(first, self.lookahead or 8, self.window, self.kernel, self.pool)
            case "accumulated":
                return AccumulatedAttention()
            case "expected":
                return ExpectedImportance(self.future, self.sinks, True, True, 0.0)
            case "reconstruction":
                return Reconstruction(self.chunk, 8, self.sinks)
            case "recency":
                return Recency()
            case "key-norm":
                return KeyNorm()
            case "random":
                return Chance(self.seed)

    def _allocation(self) -> Allocation:
        match self.allocation:
            case "uniform":
                return Uniform()
            case "pyramid":
                return Pyramid(self.beta)
            case "adaptive":
                return AdaptiveAllocation(self.alpha, Uniform())
            case "adaptive-pyramid":
                return AdaptiveAllocation(self.alpha, Pyramid(self.beta))
            case "global":
                return Overall()
