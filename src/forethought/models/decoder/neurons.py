"""MLPs that compute part of their neurons in decode passes, and ones that show their activations.

Matrices of chosen neurons are gathered into smaller ones, so a decode pass reads fewer bytes. 4-bit
weights are packed anew: their groups of 32 inputs do not survive a choice of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.neurons import experts_refused
from forethought.models.compiled.linear import CompiledFourBit
from forethought.models.decoder.layer import DenseMlp, Layer
from forethought.models.decoder.linear import (
    ByPhase,
    DenseLinear,
    EightBit,
    EightBitBoth,
    FourBit,
    Linear,
)
from forethought.models.decoder.quantise import HEAD_BLOCK, pack_levels, quantise4


@dataclass(frozen=True)
class ShowingMlp:
    """A gated MLP whose activations [N, F] in prefill are shown."""

    plain: DenseMlp
    show: Callable[[Tensor], None]

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        return self.plain.weight_bytes(phase, tokens)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        gate, up = self.plain.gate_up(x, phase).chunk(2, -1)
        inner = self.plain.activation(gate) * up
        self.show(inner)
        return self.plain.down(inner, phase)


@dataclass(frozen=True)
class TopNeuronsMlp:
    """A gated MLP whose decode passes use the neurons with each token's strongest gates.

    Weights in their own dtype are read for these neurons alone, row by row, which needs a
    transposed copy of the down projection. Packed weights are read whole.
    """

    plain: DenseMlp
    count: int

    @cached_property
    def _dense(self) -> tuple[DenseLinear, Tensor] | None:
        """The gate's and up's weights, and the transposed down projection; None if packed."""
        both, down = self.plain.gate_up, self.plain.down
        if isinstance(both, DenseLinear) and isinstance(down, DenseLinear):
            return both, down.weight.t().contiguous()
        return None

    def weight_bytes(self, phase: str, tokens: int) -> int:
        """Bytes of weights that one pass reads for so many tokens."""
        whole = self.plain.weight_bytes(phase, tokens)
        if phase != "decode" or self._dense is None:
            return whole
        # Every token reads its own neurons.
        neurons = len(self._dense[1])
        each = whole // 3 // neurons
        return each * (neurons + 2 * min(neurons, self.count * tokens))

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """[N, hidden] to a new tensor [N, hidden]."""
        if phase != "decode":
            return self.plain(x, phase)
        if self._dense is None:
            gate, up = self.plain.gate_up(x, phase).chunk(2, -1)
            active = self.plain.activation(gate)
            left = active.abs().topk(active.shape[-1] - self.count, -1, largest=False).indices
            return self.plain.down(active.scatter_(-1, left, 0) * up, phase)
        both, down = self._dense
        neurons = len(down)
        bias = None if both.bias is None else both.bias[:neurons]
        active = self.plain.activation(F.linear(x, both.weight[:neurons], bias))
        return torch.cat([self._row(x[i : i + 1], active[i]) for i in range(len(x))])

    def _row(self, x: Tensor, active: Tensor) -> Tensor:
        """The MLP's output [1, hidden] of one token, given its gates [F]."""
        assert self._dense is not None, "packed weights have no rows"
        both, down = self._dense
        chosen = active.abs().topk(self.count, sorted=False).indices
        rows = chosen + len(down)
        bias = None if both.bias is None else both.bias[rows]
        inner = active[chosen] * F.linear(x, both.weight[rows], bias)
        y = inner @ down[chosen]
        added = self._down_bias
        return y if added is None else y.add_(added)

    @property
    def _down_bias(self) -> Tensor | None:
        return self.plain.down.bias if isinstance(self.plain.down, DenseLinear) else None


def dense_mlp(layer: Layer) -> DenseMlp:
    """The gated MLP of a layer; UnsupportedModelError for experts."""
    if not isinstance(layer.mlp, DenseMlp):
        raise experts_refused()
    return layer.mlp


def showing_layer(layer: Layer, show: Callable[[Tensor], None]) -> Layer:
    """The layer whose prefill shows the activations of its MLP."""
    return replace(layer, mlp=ShowingMlp(dense_mlp(layer), show))


def top_neurons_layer(layer: Layer, count: int) -> Layer:
    """The layer that uses `count` neurons for each token in decode passes."""
    return replace(_uncompiled(layer), mlp=TopNeuronsMlp(dense_mlp(layer), count))


def sliced_layer(layer: Layer, kept: Tensor) -> Layer:
    """The layer for decode passes with these neurons alone, without compiled parts."""
    mlp = dense_mlp(layer)
    halves = kept, kept + mlp.down.inputs
    made = replace(mlp, gate_up=_rows(mlp.gate_up, halves), down=_columns(mlp.down, kept))
    return replace(_uncompiled(layer), mlp=made)


def _uncompiled(layer: Layer) -> Layer:
    return Layer(**{field.name: getattr(layer, field.name) for field in fields(Layer)})


def _decoding(linear: Linear) -> Linear:
    """The product of decode passes."""
    return linear.decode if isinstance(linear, ByPhase) else linear


def _dense(linear: Linear) -> DenseLinear:
    """The weights that 4-bit ones were packed from."""
    plain = linear.prefill if isinstance(linear, ByPhase) else linear
    assert isinstance(plain, DenseLinear), "prefill keeps the weights in their own dtype"
    return plain


def _rows(linear: Linear, halves: Sequence[Tensor]) -> Linear:
    """The product of decode passes with some outputs: gates, then ups."""
    decode = _decoding(linear)
    if isinstance(decode, DenseLinear | EightBit | EightBitBoth):
        index = torch.cat(list(halves))
        bias = None if decode.bias is None else decode.bias[index]
        if isinstance(decode, DenseLinear):
            return DenseLinear(decode.weight[index], bias)
        return replace(decode, weight=decode.weight[index], scales=decode.scales[index], bias=bias)
    dense = _dense(linear)
    weight = torch.cat([_padded(dense.weight[half], 0) for half in halves])
    parts = [] if dense.bias is None else [_padded(dense.bias[half], 0) for half in halves]
    return _packed(decode, weight, torch.cat(parts) if parts else None)


def _columns(linear: Linear, index: Tensor) -> Linear:
    """The product of decode passes with some inputs."""
    decode = _decoding(linear)
    if isinstance(decode, DenseLinear):
        return DenseLinear(decode.weight[:, index], decode.bias)
    if isinstance(decode, EightBit | EightBitBoth):
        return replace(decode, weight=decode.weight[:, index])
    dense = _dense(linear)
    return _packed(decode, _padded(dense.weight[:, index], 1), dense.bias)


def _packed(like: Linear, weight: Tensor, bias: Tensor | None) -> Linear:
    """The 4-bit product with a weight, by the kernels of another one."""
    made = pack_levels(quantise4(weight))
    if isinstance(like, CompiledFourBit):
        four: Linear = CompiledFourBit(like.kernels, made["int4"], made["int4_scales"], bias)
    else:
        four = FourBit(made["int4"], made["int4_scales"], bias)
    return ByPhase(four, four)


def _padded(weight: Tensor, axis: int) -> Tensor:
    """The weight with zeros behind, up to a whole block of the 4-bit kernels."""
    more = -weight.shape[axis] % HEAD_BLOCK
    if not more:
        return weight
    shape = list(weight.shape)
    shape[axis] = more
    return torch.cat([weight, weight.new_zeros(shape)], axis)
