"""Keep all cache entries of the heads that a model needs to repeat its text, and drop the others.

Paper: head-level KVzip, arXiv:2505.23416 (NeurIPS 2025). A head's score is the highest of its
entries, on one text for all prompts: benchmarks/fit_eviction.py writes such a file for heads.
evict(importance=repeating-heads,allocation=whole-heads) measures the heads on the prompt itself.
Published: code; snu-mllab/KVzip, level "head". It recommends keep=0.6.
Exact: when keep reaches the prompt's length. Dropped heads see the template, the question and the
answer.
Cost: the prefill alone. The whole cache is in memory until then. Heads stay whole, so part of the
budget may be unused.
Example: forethought "Who signed it?" -f contract.txt -x 'kvzip-heads(keep=0.6,heads=FILE)'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.contracts.parameters import CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.whole_heads import WholeHeads
from forethought.methods.kv_eviction.importance.stated_heads import StatedHeads


@dataclass(frozen=True)
class KVzipHeads(Evicting):
    """KVzip's scores of heads, which keep all or none of the text."""

    revision: ClassVar[int] = 2
    """Without a file, the first revision measured the heads on the prompt."""

    heads: str = ""
    """Text file of head scores: a line for each layer, a number for each KV head."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""

    def eviction(self) -> Eviction:
        """The stated scores over whole heads."""
        return Eviction(self, StatedHeads(self.heads), WholeHeads(), sinks=self.sinks)
