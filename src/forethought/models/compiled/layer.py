"""A decoder layer whose decode steps call the compiled kernels before and after attention."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import cast

from torch import Tensor

from forethought.models.compiled.kernels import Kernels, LayerWeights, NormWeight
from forethought.models.compiled.linear import CompiledFourBit
from forethought.models.decoder.layer import DenseMlp, Layer
from forethought.models.decoder.linear import ByPhase, Linear
from forethought.models.decoder.norm import Norm
from forethought.models.decoder.rope import Rotation


def compiled(layer: Layer, activation: str) -> Layer:
    """The layer with compiled decode steps; as it is where the kernels do not know its parts."""
    mlp = layer.mlp
    if not isinstance(mlp, DenseMlp) or activation != "silu":
        return layer
    products = [_compiled(linear) for linear in (layer.qkv, layer.out, mlp.gate_up, mlp.down)]
    foreign = (layer.attention_post_norm, layer.mlp_post_norm, layer.query_norm)
    if None in products or any(norm is not None for norm in foreign):
        return layer
    if layer.attention_norm is None or layer.mlp_norm is None:
        return layer
    qkv, out, gate_up, down = cast(list[CompiledFourBit], products)
    kernels = qkv.kernels
    if gate_up.matrix.outputs // 2 % kernels.block or layer.head_dim % kernels.lanes:
        return layer
    norms = [native_norm(norm) for norm in (layer.attention_norm, layer.mlp_norm, layer.head_norm)]
    weights = LayerWeights(
        *(linear.matrix for linear in (qkv, out, gate_up, down)),
        *(norm.native for norm in norms),
        layer.heads + layer.kv_heads,
        layer.head_dim,
        layer.residual_scale,
    )
    held = tuple(norm.weight for norm in norms if norm.weight is not None)
    own = {field.name: getattr(layer, field.name) for field in fields(Layer)}
    return CompiledLayer(**own, kernels=kernels, weights=weights, norms=held)


def _compiled(linear: Linear) -> CompiledFourBit | None:
    decode = linear.decode if isinstance(linear, ByPhase) else None
    return decode if isinstance(decode, CompiledFourBit) else None


@dataclass(frozen=True)
class NativeNorm:
    """A norm for the kernels."""

    native: NormWeight
    weight: Tensor | None
    """Keeps alive what `native` points to."""


def native_norm(norm: Norm | None) -> NativeNorm:
    """The norm, or none, for the kernels."""
    if norm is None:
        return NativeNorm(NormWeight(), None)
    weight = norm.weight.float().contiguous()
    return NativeNorm(NormWeight(weight.data_ptr(), norm.late, norm.epsilon.item()), weight)


@dataclass(frozen=True, slots=True)
class CompiledLayer(Layer):
    """A layer of bf16 tensors on the CPU; other phases than decode run as they always do."""

    kernels: Kernels
    weights: LayerWeights
    norms: tuple[Tensor, ...]
    """Keeps alive what `weights` points to."""

    def attention_inputs(
        self, x: Tensor, turn: Rotation | None, phase: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries [N, H, D] and keys [N, K, D], and values [N, K, D]."""
        if phase != "decode":
            return Layer.attention_inputs(self, x, turn, phase)
        angles = (None, None) if turn is None else (turn.cosine, turn.signed_sine)
        every = self.kernels.layer_inputs(self.weights, x, *angles)
        queries, keys, values = every.view(len(x), -1, self.head_dim).split_with_sizes(
            [self.heads, self.kv_heads, self.kv_heads], 1
        )
        return queries, keys, values

    def finish_(self, x: Tensor, mixed: Tensor, phase: str) -> None:
        """Add to the stream x [N, hidden] what attention's output [N, H * D] leads to."""
        if phase != "decode":
            return Layer.finish_(self, x, mixed, phase)
        self.kernels.layer_finish_(self.weights, x, mixed)
        return None
