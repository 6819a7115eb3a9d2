"""Store the prompt's keys and values in 8 or 4 bits; what the answer adds stays whole.

Paper: KIVI, arXiv:2402.02750 (keys by channel, values by token)
Exact: with bits=16; below, every stored number is off by about half a step of its group.
Cost: entries are unpacked whenever they are attended to: memory falls, writing slows down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forethought.contracts.roles import Approximation


@dataclass(frozen=True)
class QuantisedKV(Approximation):
    """A cache in whole numbers; goes with any method that drops entries."""

    bits: Literal[8, 4, 16] = 8
    """Bits of a stored number, beside a scale and a zero for every 64 (4 bits: 32) of them."""

    def pays(self, prompt_length: int) -> bool:
        """Whether anything would be stored in fewer bits."""
        return self.bits < 16

    def cache_bits(self) -> int:
        """Bits of a stored key or value."""
        return self.bits
