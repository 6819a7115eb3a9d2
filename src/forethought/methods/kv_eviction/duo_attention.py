"""Keep all cache entries of heads that look far back, and of the others the first and the newest.

Paper: DuoAttention, arXiv:2410.10819 (ICLR 2025). The authors optimise the scores of heads on long
texts; heads names a file of such scores. Without it, each head's mean query and key over the
prompt give its reach, as kvpress does over 50 other texts.
Published: ours; Paper: scores of heads are optimised on long texts. Here: without a file, the
    prompt itself gives them.
Exact: when keep reaches the prompt's length. Heads that look far back stay exact.
Cost: the prefill, and two means over the prompt in every layer. The whole cache is in memory until
then. Heads stay whole, so part of the budget may be unused.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.whole_heads import WholeHeads
from forethought.methods.kv_eviction.importance.far_heads import FarHeads
from forethought.methods.kv_eviction.importance.stated_heads import StatedHeads


@dataclass(frozen=True)
class DuoAttention(Evicting):
    """Retrieval heads keep the whole prompt, streaming heads its two ends."""

    heads: str = ""
    """Text file of head scores: a line for each layer, a number for each KV head."""
    sinks: CountOrZero = 128
    """First entries, which always stay."""
    window: Count = 256
    """Last entries, which always stay."""

    def eviction(self) -> Eviction:
        """The reach of heads over whole heads."""
        importance = StatedHeads(self.heads) if self.heads else FarHeads()
        return Eviction(self, importance, WholeHeads(), newest=self.window, sinks=self.sinks)
