"""Tensors that go to the compiled kernels together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

EVERY_BLOCK = (None, 0, 0, 1, 1, None, None, 0, 0, 0)
"""The last arguments of `attend_prefill` without a choice of blocks."""


@dataclass(frozen=True)
class SeenBlocks:
    """The blocks of keys that the tokens of a prefill see."""

    seen: Tensor
    """[K, choices, blocks] uint8, contiguous: of each choice, whether it sees a block. The first
    choice is that of the first query."""
    alike: int
    """Rows of the sequence with one choice, a multiple of `Kernels.block`. A row is one query of
    the heads that share keys: of G heads, row r is head r % G of token r // G."""
    block: int
    """Keys of a block, a multiple of `TILE_KEYS`."""
    mean_keys: Tensor | None = None
    """[K, complete blocks, D], contiguous: the keys that stand for unseen blocks."""
    mean_values: Tensor | None = None
    """Their values, as `pair_values` makes them."""

    def arguments(self) -> tuple[int | None, ...]:
        """The last arguments of the C function."""
        _, choices, blocks = self.seen.shape
        chosen = (self.seen.data_ptr(), choices, blocks, self.alike, self.block)
        if self.mean_keys is None or self.mean_values is None or not self.mean_keys.shape[1]:
            return (*chosen, None, None, 0, 0, 0)
        keys, values = self.mean_keys, self.mean_values
        means = keys.shape[1], keys.stride(0), values.stride(0)
        return (*chosen, keys.data_ptr(), values.data_ptr(), *means)


class Heads(NamedTuple):
    """The heads in some columns."""

    size: int
    turned: int
    """Heads that RoPE turns; they come first."""


@dataclass(frozen=True)
class Sums:
    """Integer sums of quantised tokens with some rows of an 8-bit weight, and their units."""

    sums: Tensor
    """[N, part] int32."""
    steps: Tensor
    """[N] float32, of the tokens."""
    scales: Tensor
    """[part] bf16, of the weight."""
    bias: Tensor | None = None
    """[part] bf16."""

    def arguments(self, out: Tensor) -> tuple[int | None, ...]:
        """The first arguments of the C functions that write products to bf16 columns `out`."""
        sizes = (*self.sums.shape, out.stride(0))
        held = (self.sums.data_ptr(), self.steps.data_ptr(), self.scales.data_ptr())
        return (*sizes, *held, None if self.bias is None else self.bias.data_ptr())
