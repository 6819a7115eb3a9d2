"""Builds the layers and norms of a decoder from its tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.models.compiled.layer import compiled
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.experts import Experts
from forethought.models.decoder.layer import DenseMlp, Layer, Mlp, SparseMlp
from forethought.models.decoder.linear import Linear
from forethought.models.decoder.norm import FusedNorm, Norm


class LayerBuilder:
    """Builds the parts of a decoder from its tensors."""

    def __init__(
        self,
        config: DecoderConfig,
        tensors: Mapping[str, Tensor],
        linear: Callable[[str], Linear],
    ) -> None:
        self.config = config
        self.tensors = tensors
        self.linear = linear
        self.activation = _ACTIVATIONS[config.activation]

    def layer(self, i: int) -> Layer:
        """One layer, with compiled decode steps where there are kernels."""
        config, name = self.config, f"layers.{i}"
        plain = Layer(
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            rope=config.layer_ropes[i],
            residual_scale=config.residual_scale,
            qkv=self.linear(f"{name}.qkv"),
            out=self.linear(f"{name}.out"),
            mlp=self.mlp(i),
            attention_norm=self.norm_if(config.pre_norm, f"{name}.attention_norm"),
            attention_post_norm=self.norm_if(config.post_norm, f"{name}.attention_post_norm"),
            mlp_norm=self.norm_if(config.pre_norm, f"{name}.mlp_norm"),
            mlp_post_norm=self.norm_if(config.post_norm, f"{name}.mlp_post_norm"),
            head_norm=self.head_norm(name) if config.query_key_norm == "head" else None,
            query_norm=self.norm_if(config.query_key_norm == "full", f"{name}.query_norm"),
            key_norm=self.norm_if(config.query_key_norm == "full", f"{name}.key_norm"),
        )
        return compiled(plain, config.activation)

    def mlp(self, i: int) -> Mlp:
        """The MLP of a layer: gated, or experts."""
        config, name = self.config, f"layers.{i}"
        if i not in config.expert_layers:
            gate_up, down = self.linear(f"{name}.gate_up"), self.linear(f"{name}.down")
            return DenseMlp(gate_up, down, self.activation)
        return SparseMlp(
            Experts(
                self.tensors[f"{name}.router.weight"],
                self.tensors[f"{name}.experts.gate_up"],
                self.tensors[f"{name}.experts.down"],
                chosen=config.experts_per_token,
                normalise=config.normalise_experts,
                activation=self.activation,
            )
        )

    def norm(self, name: str) -> Norm:
        """The norm of this name."""
        return self.norm_of(self.tensors[f"{name}.weight"])

    def norm_if(self, wanted: bool, name: str) -> Norm | None:
        """The norm of this name, if the family has it."""
        return self.norm(name) if wanted else None

    def head_norm(self, name: str) -> Norm:
        """Query and key norms as one norm over all heads: weight [H + K, D]."""
        queries = self.tensors[f"{name}.query_norm.weight"].expand(self.config.heads, -1)
        keys = self.tensors[f"{name}.key_norm.weight"].expand(self.config.kv_heads, -1)
        return self.norm_of(torch.cat([queries, keys]))

    def norm_of(self, weight: Tensor) -> Norm:
        """The norm with a weight."""
        config = self.config
        late = config.late_rounding
        norm = FusedNorm if weight.is_cuda else Norm
        return norm(weight, config.epsilon, offset=config.norm_offset, late_rounding=late)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": partial(F.silu, inplace=True),
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "gelu": F.gelu,
}
