"""Keep all cache entries of the heads that a model needs to repeat its text, and drop the others.

Paper: head-level KVzip, arXiv:2505.23416 (NeurIPS 2025). As in the authors' code, a head's score is
the highest of its entries, on one text for all prompts: benchmarks/fit_eviction.py writes such a
file for heads. Without a file, the prompt itself is the text.
Published: ours; Code: scores of heads come from one text for all prompts. Here: without a file, the
    prompt itself gives them.
Exact: when keep reaches the prompt's length. Dropped heads see the template, the question and the
answer.
Cost: with a file, the prefill alone; without, that of kvzip. The whole cache is in memory until
then. Heads stay whole, so part of the budget may be unused. The authors recommend keep=0.6.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.whole_heads import WholeHeads
from forethought.methods.kv_eviction.importance.repeating_heads import RepeatingHeads
from forethought.methods.kv_eviction.importance.stated_heads import StatedHeads


@dataclass(frozen=True)
class KVzipHeads(Evicting):
    """KVzip's scores of heads, which keep all or none of the text."""

    heads: str = ""
    """Text file of head scores: a line for each layer, a number for each KV head."""
    chunk: Count = 2048
    """Tokens repeated at a time."""
    overlap: CountOrZero = 8
    """Tokens before a chunk that the request to repeat it quotes."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""

    def eviction(self) -> Eviction:
        """The scores of heads over whole heads."""
        measured = RepeatingHeads(self.chunk, self.overlap, self.sinks)
        importance = StatedHeads(self.heads) if self.heads else measured
        return Eviction(self, importance, WholeHeads(), sinks=self.sinks)
