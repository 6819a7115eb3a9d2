"""Keep the cache entries that the last prompt tokens attend to.

Paper: SnapKV, arXiv:2404.14469 (NeurIPS 2024). The defaults of the authors' code are window 32,
kernel 5 and mean pooling. Their LongBench runs use kernel=7 and pool=max, as speckv does.
Published: code (FasterDecoding/SnapKV); its set-up function. That code: each query head has its own
    choice. Here, as in kvpress: a query group shares one choice, by its mean.
Exact: when keep reaches the prompt's length. Below it, the answer cannot see dropped entries.
The scores know the question, not the answer.
Cost: attention rows of the window in every layer; the target prefills the whole prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.parameters import Count, OddCount
from forethought.methods.kv_eviction._eviction import DecodeEvicting, Eviction
from forethought.methods.kv_eviction.importance.window import WindowAttention


@dataclass(frozen=True)
class SnapKV(DecodeEvicting):
    """Scores entries by the attention of an observation window at the prompt's end."""

    window: Count = 32
    """Last prompt tokens: their attention scores the entries, and they always stay."""
    kernel: OddCount = 5
    """Width of the pooling kernel over scores, in entries."""
    pool: Literal["mean", "max"] = "mean"
    """Pooling of the scores."""

    def eviction(self) -> Eviction:
        """The window's attention and the window itself."""
        return Eviction(
            self, WindowAttention(self.window, self.kernel, self.pool), newest=self.window
        )
