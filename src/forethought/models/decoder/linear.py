"""Matrix products in the decoder's weight formats.

| format | prefill          | decode                                                       |
|--------|------------------|--------------------------------------------------------------|
| bf16   | bf16             | bf16 (any dtype the tensors have: float32 for reference runs)  |
| int4   | bf16             | 4 bit, groups of 32 with scale and zero; the head in 8 bit     |
| int8   | bf16             | 8-bit weights, one scale a row, bf16 activations               |
| w8a8   | 8 bit both sides | 8 bit both sides, one activation scale a token                 |

The phase chooses the format, never the number of rows: a token's result must not depend on the
batch. Integer products are exact, and the 4-bit kernel sums every row in the same order, so both
are independent of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.models.compiled.arguments import Sums
from forethought.models.compiled.available import kernels
from forethought.models.compiled.kernels import Kernels
from forethought.models.compiled.linear import CompiledEightBit, CompiledFourBit
from forethought.models.decoder.quantise import GROUP, quantise8
from forethought.models.hardware.processor import (
    blocked,
    blocked_product,
    has_memory_for,
    prefill_copy_bytes,
    widened,
)

FORMATS = ("auto", "bf16", "int4", "int8", "w8a8")
_WIDE_ROWS = 16  # from so many rows on, widening a weight costs less than it saves
_USES = 16  # prefill blocks before a weight is brought into another layout, which costs as many
_ROWS = 512  # rows of an 8-bit product at once
COLUMNS = 1024
"""And outputs: the int32 sums stay in the last-level cache."""


class Linear(Protocol):
    """A product with a weight [out, in]."""

    @property
    def inputs(self) -> int:
        """Input size."""
        ...

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        ...

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product of this phase reads."""
        ...


@dataclass(frozen=True)
class DenseLinear:
    """A weight in its own dtype."""

    weight: Tensor
    bias: Tensor | None = None
    keeps_copy: bool = False
    """Whether prefill may keep a copy of the weight, in the dtype or layout that it multiplies."""

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.weight.shape[1]

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.weight.nbytes

    @cached_property
    def _wide(self) -> Tensor:
        return widened(self.weight)

    @cached_property
    def _uses(self) -> Iterator[int]:
        return count()

    @cached_property
    def _blocked(self) -> Tensor | None:
        return blocked(self.weight)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        if phase == "decode":
            return F.linear(x, self.weight, self.bias)
        often = self.keeps_copy and next(self._uses) >= _USES
        if often and self._blocked is not None:
            return blocked_product(x, self._blocked, self.bias)
        if len(x) < _WIDE_ROWS:
            return F.linear(x, self.weight, self.bias)
        bias = None if self.bias is None else widened(self.bias)
        weight = self._wide if self.keeps_copy else widened(self.weight)
        return F.linear(widened(x), weight, bias).to(x.dtype)


@dataclass(frozen=True)
class FourBit:
    """4-bit weights, bf16 activations (CPU)."""

    packed: Tensor
    scales: Tensor
    bias: Tensor | None = None

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.scales.shape[0] * GROUP

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.packed.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        y: Tensor = torch._weight_int4pack_mm_for_cpu(x, self.packed, GROUP, self.scales)
        return y if self.bias is None else y.add_(self.bias)


@dataclass(frozen=True)
class EightBitPlanes:
    """8-bit weights as two 4-bit planes (see `pack_head`), bf16 activations (CPU)."""

    high: FourBit
    low: FourBit

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.high.inputs

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.high.bytes(phase) + self.low.bytes(phase)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out], float32."""
        return self.high(x, phase).float().add_(self.low(x, phase))


@dataclass(frozen=True)
class EightBit:
    """8-bit weights, bf16 activations."""

    weight: Tensor
    scales: Tensor
    bias: Tensor | None = None

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.weight.shape[1]

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.weight.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        y: Tensor = torch._weight_int8pack_mm(x, self.weight, self.scales.to(x.dtype))
        return y if self.bias is None else y.add_(self.bias)


@cache
def pairs_saturate() -> bool:
    """Whether this machine adds pairs of 8-bit products in 16 bits, as x86 does without VNNI."""
    most = torch.full((32, 64), 127, dtype=torch.int8)
    return int(torch._int_mm(most, most.t())[0, 0]) != 64 * 127 * 127


def _integer_product(x: Tensor, weight: Tensor) -> Tensor:
    """int8 x [M, K] by int8 weight [N, K]: int32 [M, N], exact on every machine."""
    if not pairs_saturate():
        return torch._int_mm(x, weight.t())
    # Two weights of at most 64 times two activations of at most 255 (the kernel shifts them
    # to be positive) stay within 16 bits, so each half of the weights is summed exactly.
    half = weight >> 1
    sums: Tensor = torch._int_mm(x, half.t())
    return sums.add_(torch._int_mm(x, (weight - half).t()))


@dataclass(frozen=True)
class EightBitBoth:
    """8-bit weights and activations: exact integer sums, one activation scale a token."""

    weight: Tensor
    scales: Tensor
    bias: Tensor | None = None

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.weight.shape[1]

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return self.weight.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        if x.shape[0] <= _ROWS:
            return self._rows(x)
        return torch.cat([self._rows(block) for block in torch.split(x, _ROWS)])

    def _rows(self, x: Tensor) -> Tensor:
        made = kernels()
        if made is not None and x.dtype == torch.bfloat16 and not pairs_saturate():
            return self._compiled_rows(made, x)
        step = torch.linalg.vector_norm(x, torch.inf, -1, True, dtype=torch.float32)
        step = step.clamp_min_(1e-12).div_(127)
        levels = x.div(step).round_().to(torch.int8)
        sums = _integer_product(levels, self.weight)
        y = sums.mul(step).mul_(self.scales)
        return (y if self.bias is None else y.add_(self.bias)).to(x.dtype)

    def _compiled_rows(self, made: Kernels, x: Tensor) -> Tensor:
        """The same with compiled passes before and after the products, block by block."""
        rows = made.quantise8(x)
        y = x.new_empty(len(x), len(self.weight))
        for part in columns(len(self.weight), max(COLUMNS, COLUMNS * _ROWS // len(x))):
            made.widen8(self.sums(rows, part), y[:, part])
        return y

    def sums(self, rows: tuple[Tensor, Tensor], part: slice) -> Sums:
        """The products of quantised rows (levels and steps) with some outputs."""
        levels, steps = rows
        bias = None if self.bias is None else self.bias[part]
        return Sums(torch._int_mm(levels, self.weight[part].t()), steps, self.scales[part], bias)


def columns(count: int, most: int = COLUMNS) -> Iterator[slice]:
    """Parts of so many outputs."""
    return (slice(start, min(start + most, count)) for start in range(0, count, most))


@dataclass(frozen=True)
class ByPhase:
    """One format for prefill, another for decode."""

    prefill: Linear
    decode: Linear

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.prefill.inputs

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product reads."""
        return (self.decode if phase == "decode" else self.prefill).bytes(phase)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        return self.decode(x, phase) if phase == "decode" else self.prefill(x, phase)


def build_linears(
    tensors: Mapping[str, Tensor], packed: Mapping[str, Tensor], weights: str
) -> Callable[[str], Linear]:
    """Linears by name ("layers.0.qkv", "head") from dense and packed tensors.

    `packed` holds the tensors of `pack_levels` and `pack_head` under "<name>.<suffix>". Only 4-bit
    formats use it: "int4+planes" prefers the head's planes if there are any, "compiled" runs the
    compiled kernels. A tied head uses the embedding.
    """
    weights, _, head = weights.partition("+")
    keeps = has_memory_for(prefill_copy_bytes(tensors.values()))

    def dense(name: str) -> DenseLinear:
        weight = tensors.get(f"{name}.weight")
        weight = tensors["embed.weight"] if weight is None else weight
        return DenseLinear(weight, tensors.get(f"{name}.bias"), keeps)

    def build(name: str) -> Linear:
        plain = dense(name)
        if weights == "bf16":
            return plain
        if weights == "compiled":
            return ByPhase(plain, _compiled(name, packed, plain.bias))
        if weights == "int4":
            return ByPhase(plain, _packed(name, packed, plain.bias, head == "planes"))
        eight = quantise8(plain.weight)
        if weights == "int8":
            return ByPhase(plain, EightBit(eight["int8"], eight["int8_scales"], plain.bias))
        return EightBitBoth(eight["int8"], eight["int8_scales"], plain.bias)

    return build


def _compiled(name: str, packed: Mapping[str, Tensor], bias: Tensor | None) -> Linear:
    """The product by a compiled kernel; by torch where the kernels do not take the shape."""
    made = kernels()
    assert made is not None, "decoders are opened so only where there are kernels"
    if f"{name}.int4" in packed:
        weight, scales = packed[f"{name}.int4"], packed[f"{name}.int4_scales"]
        if scales.shape[1] % made.block:
            return FourBit(weight, scales, bias)
        return CompiledFourBit(made, weight, scales, bias)
    weight, scales = packed[f"{name}.int8"], packed[f"{name}.int8_scales"]
    if bias is not None or weight.shape[1] % made.block:
        return EightBit(weight, scales, bias)
    return CompiledEightBit(made, weight, scales)


def _packed(name: str, packed: Mapping[str, Tensor], bias: Tensor | None, planes: bool) -> Linear:
    def four(suffix: str, added: Tensor | None) -> FourBit:
        return FourBit(packed[f"{name}.{suffix}"], packed[f"{name}.{suffix}_scales"], added)

    if f"{name}.int4" in packed:
        return four("int4", bias)
    if planes and f"{name}.high" in packed:
        return EightBitPlanes(four("high", bias), four("low", None))
    return EightBit(packed[f"{name}.int8"], packed[f"{name}.int8_scales"], bias)
