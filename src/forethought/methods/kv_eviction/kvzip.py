"""Keep the cache entries that the model needs to repeat its text, for any later question.

Paper: KVzip, arXiv:2505.23416 (NeurIPS 2025)
Published: code (kvpress); KVzipPress, with chunks of 2,048 tokens and 4 sinks. snu-mllab/KVzip:
    chunks of 2,000 tokens, and the system prompt in place of sinks.
Exact: when keep reaches the prompt's length. The choice within the text is the same for every
question after it.
Cost: the model prefills the text a second time after the whole cache: two to three times the
    prefill. The whole cache is in memory until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from forethought.methods.kv_eviction._repeating import Repeating


@dataclass(frozen=True)
class KVzip(Repeating):
    """Scores an entry by the most attention it receives while the model repeats the text."""

    revision: ClassVar[int] = 2
    """The first revision asked for a repetition in other words than the authors."""
    normalised: ClassVar[bool] = False
