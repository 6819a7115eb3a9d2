"""Keep the cache entries that change the model's state most while it repeats its text.

Paper: KVzip+, the normalised form of KVzip (arXiv:2505.23416) that KVzap (arXiv:2601.07891)
approximates: attention times the norm of the projected value, over the norm of the layer's input.
Published: code (kvpress); KVzipPress with its normalisation.
Exact: when keep reaches the prompt's length. The choice within the text is the same for every
question after it.
Cost: as kvzip, and one product of every value with the output projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.global_ import GlobalAllocation
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction


@dataclass(frozen=True)
class KVzipPlus(Evicting):
    """Scores an entry by the largest change that it makes while the model repeats the text."""

    chunk: Count = 2048
    """Tokens repeated at a time."""
    overlap: CountOrZero = 8
    """Tokens before a chunk that the request to repeat it quotes."""
    sinks: CountOrZero = 4
    """First entries, which always stay."""
    allocation: Literal["global", "uniform"] = "global"
    """Whether the heads of all layers compete, or every head keeps the same number."""

    def eviction(self) -> Eviction:
        """The normalised reconstruction scores under the chosen allocation."""
        return Eviction(
            self,
            Reconstruction(self.chunk, self.overlap, self.sinks, normalised=True),
            GlobalAllocation() if self.allocation == "global" else Uniform(),
            sinks=self.sinks,
        )
