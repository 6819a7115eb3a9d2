"""Layers whose prefill multiplies with 8 bits on both sides, for passes that only score tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from forethought.models.decoder.layer import DenseMlp, Layer, Mlp
from forethought.models.decoder.linear import ByPhase, DenseLinear, EightBitBoth, Linear
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


def scoring_layer(layer: Layer) -> Layer:
    """The layer with 8-bit products in prefill; experts stay as they are."""
    return replace(
        layer, qkv=_scoring(layer.qkv), out=_scoring(layer.out), mlp=_scoring_mlp(layer.mlp)
    )


def _scoring_mlp(mlp: Mlp) -> Mlp:
    if not isinstance(mlp, DenseMlp):
        return mlp
    return replace(mlp, gate_up=_scoring(mlp.gate_up), down=_scoring(mlp.down))


def _scoring(linear: Linear) -> Linear:
    dense = linear.prefill if isinstance(linear, ByPhase) else linear
    return ScoringLinear(linear, dense) if isinstance(dense, DenseLinear) else linear
