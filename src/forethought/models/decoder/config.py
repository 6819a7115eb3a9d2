"""The configuration of a decoder, one record for all families.

`DecoderConfig.from_transformers` reads a `config.json`. A new family takes a short function in
`families` and, if its tensors have other names, a line in `names`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from forethought.contracts.errors import MAKE_ANEW, ForethoughtError, UnsupportedModelError
from forethought.contracts.records import LayerShape, ModelShape
from forethought.models.checkpoint.claims import Claims, read_record, shortened
from forethought.models.checkpoint.json_file import parse_object
from forethought.models.decoder.config_limits import check_config
from forethought.models.decoder.families import FAMILIES
from forethought.models.decoder.rope_settings import RopeSettings


@dataclass(frozen=True)
class DecoderConfig:
    """The sizes and variants of one decoder."""

    family: str
    """The model type in `config.json`."""
    vocabulary: int
    hidden: int
    intermediate: int
    """Width of the gated MLP in dense layers."""
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    context: int
    """Most positions that the rotary embedding in use supports."""
    epsilon: float
    """Added to the mean square in every norm."""
    ropes: tuple[RopeSettings, ...]
    """The distinct rotary embeddings."""
    layer_ropes: tuple[int | None, ...]
    """Per layer: index into `ropes`; None without rotary embedding."""
    windows: tuple[int | None, ...]
    """Per layer: sliding window in positions; None for full attention."""
    scale: float
    """Factor on query·key before the softmax."""
    tied: bool = False
    """Whether the language model head is the transposed embedding."""
    activation: str = "silu"
    """silu · gelu_tanh · gelu: applied to the MLP's gate."""
    pre_norm: bool = True
    """Norms before attention and before the MLP."""
    post_norm: bool = False
    """Norms after attention and after the MLP, before the residual addition."""
    norm_offset: float = 0.0
    """Added to every norm weight: 1.0 where the file stores weight - 1."""
    late_rounding: bool = False
    """Whether norms multiply by the weight before rounding to the model's dtype, not after."""
    query_key_norm: str = "none"
    """none · head (per head) · full (over all heads)."""
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    softcap: float | None = None
    """Attention scores are limited to ±softcap by tanh."""
    logit_softcap: float | None = None
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    """Factor on the outputs of attention and MLP before the residual addition."""
    logit_scale: float = 1.0
    """Factor on the logits."""
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    expert_layers: tuple[int, ...] = ()
    """Layers whose MLP is a mixture of experts."""
    normalise_experts: bool = True
    """Whether the weights of the chosen experts are normalised to sum to one."""
    long_context: int = 0
    """Context under `for_long_texts`; 0 if that changes nothing."""
    used_neurons: int = 0
    """Neurons of a dense MLP whose up and down products a token uses; 0 for all."""

    @classmethod
    def from_transformers(
        cls, config: Mapping[str, Any], where: str = "the model's config.json"
    ) -> DecoderConfig:
        """The decoder that a raw `config.json` describes, in any version of its layout.

        Raises UnsupportedModelError for an unknown model type, activation or rotary embedding, and
        DamagedFileError for a missing or impossible size.
        """
        claims = Claims(config, where)
        kind = claims.text("model_type", "unknown")
        if kind not in FAMILIES:
            raise UnsupportedModelError(
                f"models of type {shortened(kind)} are not supported by the built-in decoder",
                f"supported: {', '.join(sorted(FAMILIES))}",
            )
        read = cls(**FAMILIES[kind](claims))
        check_config(read, where)
        return read

    @classmethod
    def from_json(cls, text: str) -> DecoderConfig:
        """The inverse of `to_json`; DamagedFileError for malformed text."""
        with ForethoughtError.named("a stored decoder configuration cannot be read"):
            claims = Claims(parse_object(text, "it", MAKE_ANEW), "it", MAKE_ANEW)
            ropes = tuple(read_record(RopeSettings, rope) for rope in claims.parts("ropes"))
            read = read_record(cls, claims, ropes=ropes)
            check_config(read, "it")
        return read

    def to_json(self) -> str:
        """The configuration as one JSON object."""
        return json.dumps(asdict(self), indent=1)

    def for_long_texts(self) -> DecoderConfig:
        """The decoder for texts beyond `context`, with other rotary frequencies.

        Longrope models rotate *every* position of a long text differently. The choice is made once
        per decoder, so cached keys and new queries always use the same frequencies.
        """
        if not self.long_context:
            return self
        ropes = tuple(replace(r, divisors=r.long_divisors or r.divisors) for r in self.ropes)
        return replace(self, ropes=ropes, context=self.long_context, long_context=0)

    @property
    def shape(self) -> ModelShape:
        """The sizes for attention and cost accounting."""
        return ModelShape(
            layers=tuple(
                LayerShape(
                    self.heads, self.kv_heads, self.head_dim, self.scale, window, self.softcap
                )
                for window in self.windows
            ),
            hidden=self.hidden,
            vocabulary=self.vocabulary,
            context=self.context,
            layer_parameters=self._layer_parameters(),
            head_parameters=self.vocabulary * self.hidden,
        )

    def _layer_parameters(self) -> int:
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        dense = self.hidden * (self.intermediate + 2 * (self.used_neurons or self.intermediate))
        active = 3 * self.experts_per_token * self.expert_intermediate + self.experts
        sparse = len(self.expert_layers)
        mlp = (sparse * self.hidden * active + (self.layers - sparse) * dense) // self.layers
        return attention + mlp
