"""Keep all cache entries of heads that look far back, and of the others the first and the newest.

Paper: DuoAttention, arXiv:2410.10819 (ICLR 2025). A file names the scores of the heads, which the
authors optimise on long texts. evict(importance=far-heads,allocation=whole-heads) measures the
heads on the prompt itself.
Published: code (kvpress); DuoAttentionPress. Paper: streaming heads prefill with their two ends
    alone. Here, as in kvpress: prefill is dense.
Exact: when keep reaches the prompt's length. Heads that look far back stay exact.
Cost: the prefill alone. The whole cache is in memory until then. Heads stay whole, so part of the
budget may be unused.
Example: forethought "Who signed it?" -f contract.txt -x 'duo-attention(heads=FILE)'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import Count, CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.whole_heads import WholeHeads
from forethought.methods.kv_eviction.importance.stated_heads import StatedHeads


@dataclass(frozen=True)
class DuoAttention(Evicting):
    """Retrieval heads keep the whole prompt, streaming heads its two ends."""

    revision: ClassVar[int] = 2
    """Without a file, the first revision measured the heads on the prompt."""

    heads: str = ""
    """Text file of head scores: a line for each layer, a number for each KV head."""
    sinks: CountOrZero = 128
    """First entries, which always stay."""
    window: Count = 256
    """Last entries, which always stay."""

    def eviction(self) -> Eviction:
        """The stated scores over whole heads."""
        importance = StatedHeads(self.heads)
        return Eviction(self, importance, WholeHeads(), newest=self.window, sinks=self.sinks)
