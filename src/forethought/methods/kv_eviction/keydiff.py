"""Keep the cache entries whose keys differ most from the mean key.

Paper: KeyDiff, arXiv:2504.15364. As in the paper, entries compete block by block (block=128);
block=0 compares all keys at once.
Published: code (kvpress); BlockPress over KeyDiffPress. Paper: a block attends only to the earlier
    entries that remain. Here, as in kvpress: prefill attends to every entry.
Exact: when keep reaches the prompt's length; the scores know neither question nor answer.
Cost: the prefill, and one product of each key with a mean for every block it survives.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.key_difference import KeyDifference


@dataclass(frozen=True)
class KeyDiff(DecodeEvicting):
    """Keys far from the mean key tend to receive attention."""

    block: CountOrZero = 128
    """Prompt tokens between two evictions; 0 compares all at once."""

    def eviction(self) -> Eviction:
        """The differences of keys alone."""
        return Eviction(self, KeyDifference(self.keep, self.every, self.block))
