"""Store the prompt's keys and values in 8 or 4 bits; decoded tokens stay in full precision.

Paper: KIVI, arXiv:2402.02750 (keys by channel, values by token)
Published: ours (general name); Paper: 2 bits, and recent tokens in full precision. Here: 8 bits for
    the whole prompt.
Exact: with bits=16; below, every stored number is off by up to half a step of its group.
Cost: attention unpacks the entries at every step: memory falls, decode slows down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.roles import Approximation


@dataclass(frozen=True)
class QuantisedKV(Approximation):
    """An integer KV cache; combines with any method that evicts after prefill."""

    bits: Literal[8, 4, 16] = 8
    """Bits of a stored number, plus a scale and a zero for every 64 numbers (32 at 4 bits)."""

    def pays(self, prompt_length: int) -> bool:
        """Whether the cache is stored in fewer bits."""
        return self.bits < 16

    def cache_bits(self) -> int:
        """Bits of a stored key or value."""
        return self.bits
