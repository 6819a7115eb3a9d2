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
from typing import ClassVar

from forethought.methods.kv_eviction._repeating import Repeating


@dataclass(frozen=True)
class KVzipPlus(Repeating):
    """Scores an entry by the largest change that it makes while the model repeats the text."""

    normalised: ClassVar[bool] = True
