"""Keep the cache entries that the model needs to repeat its text, whatever will be asked.

Paper: KVzip, arXiv:2505.23416 (NeurIPS 2025)
Exact: when keep reaches the prompt's length; the choice within the text is the same for every
question behind it.
Cost: the text is read once more over the whole cache, which stands until then: about two to
three times the reading, and no lower peak of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, CountOrZero, Keep
from forethought.methods.kv_eviction._eviction import Evicting, Eviction
from forethought.methods.kv_eviction.allocation.overall import Overall
from forethought.methods.kv_eviction.allocation.uniform import Uniform
from forethought.methods.kv_eviction.importance.reconstruction import Reconstruction


@dataclass(frozen=True)
class KVzip(Evicting):
    """The most attention an entry gets while the text is repeated."""

    keep: Keep = 1024
    """Cache entries per layer and head on average: a count, or a share of the prompt."""
    chunk: Count = 2048
    """Tokens that are repeated at a time."""
    overlap: CountOrZero = 8
    """Tokens before a chunk that the request to repeat it quotes."""
    sinks: CountOrZero = 4
    """Entries kept from the start."""
    allocation: Literal["global", "uniform"] = "global"
    """Whether heads of all layers compete, or all keep as many."""
    protect: bool = True
    """Keep the chat template and the question whatever their scores."""

    def eviction(self) -> Eviction:
        """What it is made of."""
        return Eviction(
            method="kvzip",
            keep=self.keep,
            importance=Reconstruction(self.chunk, self.overlap, self.sinks),
            allocation=Overall() if self.allocation == "global" else Uniform(),
            sinks=self.sinks,
            protect=self.protect,
        )
