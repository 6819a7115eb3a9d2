"""Keep the cache entries that the last token attends to, the same in all heads of a layer.

Paper: TOVA, arXiv:2401.06104 (EMNLP 2024)
Published: code (kvpress); Paper: an eviction after every token (every=1), which may drop the last
    one. Here: the same, but the last token always stays, as in kvpress's TOVAPress.
Exact: when keep reaches the length of prompt and answer, or at every=0 that of the prompt. A token
that the last query does not attend to is lost for all later ones.
Cost: one attention row in every layer, at each eviction.
"""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.parameters import CountOrZero
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.allocation.tova import Tova
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class TOVA(DecodeEvicting):
    """Scores entries by the last query's attention, averaged over all heads."""

    every: CountOrZero = 1
    """Decoded tokens between two evictions; keep includes them. 0 evicts once, after prefill."""

    def eviction(self) -> Eviction:
        """The last row of attention under one choice for all heads."""
        return Eviction(self, WindowAttention(1, 1, "mean"), Tova(), newest=1)
