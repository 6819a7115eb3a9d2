"""Products with packed weights by the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from forethought.models.compiled.kernels import Kernels, Matrix, matrix


@dataclass(frozen=True)
class CompiledFourBit:
    """4-bit weights, bf16 activations."""

    kernels: Kernels
    packed: Tensor
    scales: Tensor
    bias: Tensor | None = None

    @cached_property
    def matrix(self) -> Matrix:
        """The weights as the kernels take them."""
        return matrix(self.packed, self.scales, self.bias)

    @property
    def inputs(self) -> int:
        """The size it takes."""
        return int(self.matrix.inputs)

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.packed.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        return self.kernels.product4(self.matrix, x)


@dataclass(frozen=True)
class CompiledEightBit:
    """8-bit weights, bf16 activations."""

    kernels: Kernels
    weight: Tensor
    scales: Tensor

    @property
    def inputs(self) -> int:
        """The size it takes."""
        return self.weight.shape[1]

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.weight.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out], float32."""
        return self.kernels.product8(self.weight, self.scales, x)
