"""Layers whose prefill multiplies with 8 bits on both sides, for passes that only score tokens."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from forethought.models.compiled.arguments import Heads
from forethought.models.compiled.available import kernels
from forethought.models.compiled.kernels import Kernels
from forethought.models.compiled.layer import NativeNorm, native_norm
from forethought.models.decoder.layer import DenseMlp, Layer
from forethought.models.decoder.linear import (
    COLUMNS,
    ByPhase,
    DenseLinear,
    EightBitBoth,
    Linear,
    columns,
    pairs_saturate,
)
from forethought.models.decoder.quantise import quantise8
from forethought.models.decoder.rope import Rotation
from forethought.models.hardware.sliced_task import pause

_ROWS = 512
"""Tokens per block: the sums of its products stay in the last-level cache."""


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

    @property
    def outputs(self) -> int:
        """Output size."""
        return len(self.dense.weight)

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
class ScoringLayer(Layer):
    """A layer of bf16 tensors whose prefill runs compiled passes between its 8-bit products.

    They take the sums of a product to the levels of the next one: norms, RoPE, the activation and
    the residual stream cost one reading each.
    """

    plain: Layer
    kernels: Kernels
    linears: tuple[ScoringLinear, ...]
    """qkv, out, gate and up, down."""
    norms: tuple[NativeNorm, NativeNorm]
    """Before attention and before the MLP."""

    def attention_inputs(
        self, x: Tensor, turn: Rotation | None, phase: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [N, H, D] and keys [N, K, D], and values [N, K, D]."""
        if phase == "decode":
            return self.plain.attention_inputs(x, turn, phase)
        every = x.new_empty(len(x), self.linears[0].outputs)
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            self._turned(x[rows], turn and turn.part(rows), every[rows])
            pause()
        queries, keys, values = every.view(len(x), -1, self.head_dim).split_with_sizes(
            [self.heads, self.kv_heads, self.kv_heads], 1
        )
        return queries, keys, values

    def _turned(self, x: Tensor, turn: Rotation | None, out: Tensor) -> None:
        product, rows = self.linears[0].eight, self.kernels.quantise8(x, self.norms[0].native)
        size, turned = self.head_dim, self.heads + self.kv_heads
        for part in columns(out.shape[1], max(1, COLUMNS // size) * size):
            sums, own = product.sums(rows, part), out[:, part]
            if turn is None:
                self.kernels.widen8(sums, own)
                continue
            heads = Heads(size, max(0, turned - part.start // size))
            self.kernels.turn8(sums, heads, turn.cosine, turn.signed_sine, own)

    def finish_(self, x: Tensor, mixed: Tensor, phase: str) -> None:
        """Add the outputs of attention [N, H * D] and MLP to the residual stream x [N, hidden]."""
        if phase == "decode":
            return self.plain.finish_(x, mixed, phase)
        out, down = self.linears[1].eight, self.linears[3].eight
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            self._add(out, self.kernels.quantise8(mixed[rows]), x[rows])
            pause()
            self._add(down, self.kernels.quantise8(self._gated(x[rows])), x[rows])
            pause()
        return None

    def _add(self, product: EightBitBoth, rows: tuple[Tensor, Tensor], x: Tensor) -> None:
        for part in columns(x.shape[1]):
            self.kernels.add8(product.sums(rows, part), self.residual_scale, x[:, part])

    def _gated(self, x: Tensor) -> Tensor:
        product, rows = self.linears[2].eight, self.kernels.quantise8(x, self.norms[1].native)
        width = len(product.weight) // 2
        gated = x.new_empty(len(x), width)
        for part in columns(width):
            up = slice(width + part.start, width + part.stop)
            gates, ups = product.sums(rows, part), product.sums(rows, up)
            self.kernels.gate8(gates, ups, gated[:, part])
        return gated


def scoring_layer(layer: Layer, activation: str, rotary: int | None) -> Layer:
    """The layer with 8-bit products in prefill; experts stay as they are.

    `rotary` are the dimensions of a head that RoPE turns, none without RoPE.
    """
    mlp = layer.mlp
    if isinstance(mlp, DenseMlp):
        mlp = replace(mlp, gate_up=_scoring(mlp.gate_up), down=_scoring(mlp.down))
    made = replace(layer, qkv=_scoring(layer.qkv), out=_scoring(layer.out), mlp=mlp)
    return _compiled(made, layer, activation, rotary or 0)


def _scoring(linear: Linear) -> Linear:
    dense = linear.prefill if isinstance(linear, ByPhase) else linear
    return ScoringLinear(linear, dense) if isinstance(dense, DenseLinear) else linear


def _compiled(made: Layer, plain: Layer, activation: str, rotary: int) -> Layer:
    """The layer with compiled passes; as it is where the kernels do not know its parts."""
    compiled, mlp = kernels(), made.mlp
    if compiled is None or pairs_saturate() or not isinstance(mlp, DenseMlp):
        return made
    linears = (made.qkv, made.out, mlp.gate_up, mlp.down)
    foreign = (made.attention_post_norm, made.mlp_post_norm, made.head_norm, made.query_norm)
    if activation != "silu" or any(norm is not None for norm in foreign):
        return made
    if made.attention_norm is None or made.mlp_norm is None:
        return made
    if not all(isinstance(linear, ScoringLinear) for linear in linears):
        return made
    scoring = cast(tuple[ScoringLinear, ...], linears)
    sizes = (made.head_dim, rotary // 2, *(linear.inputs for linear in scoring))
    weights = [linear.dense.weight for linear in scoring]
    plain_bf16 = all(w.dtype == torch.bfloat16 and not w.is_cuda for w in weights)
    if (
        not plain_bf16
        or scoring[2].dense.bias is not None
        or any(n % compiled.lanes for n in sizes)
    ):
        return made
    own = {field.name: getattr(made, field.name) for field in fields(Layer)}
    norms = (native_norm(made.attention_norm), native_norm(made.mlp_norm))
    return ScoringLayer(**own, plain=plain, kernels=compiled, linears=scoring, norms=norms)
