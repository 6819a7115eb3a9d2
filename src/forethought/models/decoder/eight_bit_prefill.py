"""Layers whose prefill multiplies with 8 bits on both sides, for passes that only score tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from forethought.models.compiled.available import kernels
from forethought.models.compiled.kernels import Kernels
from forethought.models.decoder.layer import DenseMlp, Layer, Mlp
from forethought.models.decoder.linear import COLUMNS, ByPhase, DenseLinear, EightBitBoth, Linear
from forethought.models.decoder.quantise import quantise8


@dataclass(frozen=True)
class ScoringLinear:
    """8-bit weights and activations in prefill, made at the first use; decode as before."""

    plain: Linear
    dense: DenseLinear

    @cached_property
    def eight(self) -> EightBitBoth:
        """The product of the prefill phase."""
        made = quantise8(self.dense.weight)
        return EightBitBoth(made["int8"], made["int8_scales"], self.dense.bias)

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.dense.inputs

    def bytes(self, phase: str) -> int:
        """Bytes of weights that one product of this phase reads."""
        if phase == "decode":
            return self.plain.bytes(phase)
        outputs, inputs = self.dense.weight.shape
        return outputs * inputs + outputs * self.dense.weight.itemsize

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, out]."""
        return self.plain(x, phase) if phase == "decode" else self.eight(x, phase)


@dataclass(frozen=True, slots=True)
class GatedMlp(DenseMlp):
    """The gated MLP by silu, whose 8-bit sums become the input of `down` in one pass."""

    kernels: Kernels

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        both = self.gate_up
        if phase == "decode" or x.dtype != torch.bfloat16 or not isinstance(both, ScoringLinear):
            return DenseMlp.__call__(self, x, phase)
        weight, scales = both.eight.weight, both.eight.scales
        width = len(weight) // 2
        levels, steps = self.kernels.quantise8(x)
        gated = x.new_empty(len(x), width)
        for start in range(0, width, COLUMNS):
            gate = slice(start, min(start + COLUMNS, width))
            up = slice(width + gate.start, width + gate.stop)
            gates, ups = (torch._int_mm(levels, weight[part].t()) for part in (gate, up))
            self.kernels.gate8(gates, ups, steps, (scales[gate], scales[up]), gated[:, gate])
        return self.down(gated, phase)


def scoring_layer(layer: Layer, activation: str) -> Layer:
    """The layer with 8-bit products in prefill; experts stay as they are."""
    mlp = _scoring_mlp(layer.mlp, activation)
    return replace(layer, qkv=_scoring(layer.qkv), out=_scoring(layer.out), mlp=mlp)


def _scoring_mlp(mlp: Mlp, activation: str) -> Mlp:
    if not isinstance(mlp, DenseMlp):
        return mlp
    gate_up, down, made = _scoring(mlp.gate_up), _scoring(mlp.down), kernels()
    fits = isinstance(gate_up, ScoringLinear) and gate_up.dense.bias is None
    if activation != "silu" or made is None or not fits or down.inputs % made.lanes:
        return replace(mlp, gate_up=gate_up, down=down)
    return GatedMlp(gate_up, down, mlp.activation, made)


def _scoring(linear: Linear) -> Linear:
    dense = linear.prefill if isinstance(linear, ByPhase) else linear
    return ScoringLinear(linear, dense) if isinstance(dense, DenseLinear) else linear
