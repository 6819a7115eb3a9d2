"""Bits of weights, cache entries and activations."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.errors import UnknownNameError

STORED_BITS = {16: 16.0, 8: 8.5, 4: 5.0}
"""Bits of a cached number, its share of scale and zero point included."""
_GROUPED_FOUR = 4 + 2 * 16 / 32  # a scale and a zero in bf16 for every 32 weights


@dataclass(frozen=True)
class Precision:
    """Bits per number, with the share of scales."""

    prefill: float = 16.0
    """Of the layers' weights in prefill."""
    decode: float = 16.0
    """Of the layers' weights in decode."""
    head: float = 16.0
    """Of the output head in decode."""
    cache: float = 16.0
    """Of keys and values."""
    activations: float = 16.0
    eight_bit: bool = False
    """Whether weights and activations are multiplied in 8 bits."""

    def weights(self, phase: str) -> float:
        """Bits of a weight of the layers in a phase."""
        return self.decode if phase == "decode" else self.prefill

    def head_weights(self, phase: str) -> float:
        """Bits of a weight of the output head in a phase."""
        return self.head if phase == "decode" else self.prefill


WEIGHTS = {
    "bf16": Precision(),
    "int8": Precision(prefill=8, decode=8, head=8),
    "w8a8": Precision(prefill=8, decode=8, head=8, eight_bit=True),
    "int4": Precision(prefill=_GROUPED_FOUR, decode=_GROUPED_FOUR),
}
"""Formats of weights on accelerators, the same in both phases; heads of int4 stay in 16 bits."""
HERE = {
    "bf16": Precision(),
    "int8": Precision(decode=8, head=8),
    "w8a8": Precision(prefill=8, decode=8, head=8, eight_bit=True),
    "int4": Precision(decode=_GROUPED_FOUR, head=8),
}
"""Formats of the engine on CPUs, which multiplies prompts in bf16."""


def precision(name: str, *, here: bool = False) -> Precision:
    """The format called `name`; UnknownNameError suggests others."""
    known = HERE if here else WEIGHTS
    if name not in known:
        raise UnknownNameError.among("weight format", name, known)
    return known[name]
