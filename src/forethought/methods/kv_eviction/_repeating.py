"""The parts of evictions by the attention of a repetition (KVzip, arXiv:2505.23416)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from forethought.contracts.parameters import Count, CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.global_ import GlobalAllocation
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction


@dataclass(frozen=True)
class Repeating(Evicting):
    """Scores entries while the model repeats its text."""

    normalised: ClassVar[bool]
    """Whether attention counts by the change that it makes."""

    chunk: Count = 2048
    """Tokens repeated at a time."""
    overlap: CountOrZero = 8
    """Tokens before a chunk that the request to repeat it quotes."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""
    allocation: Literal["global", "uniform"] = "global"
    """Whether the heads of all layers compete, or every head keeps the same number."""

    def eviction(self) -> Eviction:
        """The reconstruction scores under the chosen allocation."""
        importance = Reconstruction(self.chunk, self.overlap, self.sinks, self.normalised)
        allocation = GlobalAllocation() if self.allocation == "global" else Uniform()
        return Eviction(self, importance, allocation, sinks=self.sinks)
