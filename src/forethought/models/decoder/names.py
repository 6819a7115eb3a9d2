"""Canonical tensor names, and the published names that they come from.

Canonical names, for layer i (weights are [out, in], as published):

    embed.weight                            [vocabulary, hidden]
    layers.{i}.attention_norm.weight        [hidden]           with pre_norm
    layers.{i}.qkv.weight  .bias            queries, keys, values: [(H + 2K) * D, hidden]
    layers.{i}.query_norm.weight            [D], or [H * D] over all heads
    layers.{i}.key_norm.weight              [D], or [K * D] over all heads
    layers.{i}.out.weight  .bias            [hidden, H * D]
    layers.{i}.attention_post_norm.weight   [hidden]           with post_norm
    layers.{i}.mlp_norm.weight              [hidden]
    layers.{i}.gate_up.weight  .bias        gate, then up: [2 * intermediate, hidden]
    layers.{i}.down.weight  .bias           [hidden, intermediate]
    layers.{i}.mlp_post_norm.weight         [hidden]
    layers.{i}.router.weight                [experts, hidden]  in layers with experts
    layers.{i}.experts.gate_up              [experts, 2 * intermediate, hidden]
    layers.{i}.experts.down                 [experts, hidden, intermediate]
    norm.weight                             [hidden]
    head.weight                             [vocabulary, hidden], absent if tied

Values are stored as published: norms that are published as weight - 1 stay so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from forethought.models.decoder.config import DecoderConfig

Source = tuple[str, ...] | tuple[tuple[str, ...], ...]
"""Published tensors that form a canonical one. A tuple of names is concatenated along rows; a tuple
of tuples is concatenated per expert, then stacked along a new first axis."""


def sources(config: DecoderConfig, present: Collection[str] = ()) -> dict[str, Source]:
    """The published source tensors of each canonical tensor.

    `present` holds the names in the model's files, if known. Some files stack the experts of a
    layer in one tensor, which is then the only source; some use another prefix.
    """
    model = _prefix(present)
    found: dict[str, Source] = {"embed.weight": (f"{model}embed_tokens.weight",)}
    for i in range(config.layers):
        layer = f"{model}layers.{i}."
        stacked = f"{layer}mlp.experts.gate_up_proj" in present
        parts = [*_norms(config), *_attention(config), *_mlp(config, i, stacked)]
        found |= {f"layers.{i}.{name}": _placed(layer, source) for name, source in parts}
    found["norm.weight"] = (f"{model}norm.weight",)
    if not config.tied:
        found["head.weight"] = ("lm_head.weight",)
    return found


def _prefix(present: Collection[str]) -> str:
    """The prefix of the decoder's names, which is longer than "model." in multimodal models."""
    last = "embed_tokens.weight"
    return next((name.removesuffix(last) for name in present if name.endswith(last)), "model.")


Part = tuple[str, Source]
"""A canonical name and its source, both without the layer's prefix."""


def _placed(layer: str, source: Source) -> Source:
    if isinstance(source[0], str):
        return tuple(f"{layer}{name}" for name in source)
    return tuple(tuple(f"{layer}{name}" for name in names) for names in source)


def _norms(config: DecoderConfig) -> Iterator[Part]:
    both = config.pre_norm and config.post_norm
    if config.pre_norm:
        before_mlp = "pre_feedforward_layernorm" if both else "post_attention_layernorm"
        yield "attention_norm.weight", ("input_layernorm.weight",)
        yield "mlp_norm.weight", (f"{before_mlp}.weight",)
    if config.post_norm:
        yield "attention_post_norm.weight", ("post_attention_layernorm.weight",)
        yield "mlp_post_norm.weight", ("post_feedforward_layernorm.weight",)
    if config.query_key_norm != "none":
        yield "query_norm.weight", ("self_attn.q_norm.weight",)
        yield "key_norm.weight", ("self_attn.k_norm.weight",)


def _attention(config: DecoderConfig) -> Iterator[Part]:
    packed = config.family == "phi3"
    projections = ("qkv_proj",) if packed else ("q_proj", "k_proj", "v_proj")
    yield "qkv.weight", tuple(f"self_attn.{name}.weight" for name in projections)
    yield "out.weight", ("self_attn.o_proj.weight",)
    if config.attention_bias:
        yield "qkv.bias", tuple(f"self_attn.{name}.bias" for name in projections)
    if config.output_bias:
        yield "out.bias", ("self_attn.o_proj.bias",)


def _mlp(config: DecoderConfig, layer: int, stacked: bool) -> Iterator[Part]:
    if layer in config.expert_layers:
        yield from _experts(config, stacked)
        return
    gate_up = ("gate_up_proj",) if config.family == "phi3" else ("gate_proj", "up_proj")
    kinds = ("weight", "bias") if config.mlp_bias else ("weight",)
    for kind in kinds:
        yield f"gate_up.{kind}", tuple(f"mlp.{name}.{kind}" for name in gate_up)
        yield f"down.{kind}", (f"mlp.down_proj.{kind}",)


def _experts(config: DecoderConfig, stacked: bool) -> Iterator[Part]:
    if stacked:
        yield "router.weight", ("mlp.gate.weight",)
        yield "experts.gate_up", ("mlp.experts.gate_up_proj",)
        yield "experts.down", ("mlp.experts.down_proj",)
        return
    mixtral = config.family == "mixtral"
    block = "block_sparse_moe" if mixtral else "mlp"
    gate, up, down = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
    each = [f"{block}.experts.{e}" for e in range(config.experts)]
    yield "router.weight", (f"{block}.gate.weight",)
    yield "experts.gate_up", tuple((f"{e}.{gate}.weight", f"{e}.{up}.weight") for e in each)
    yield "experts.down", tuple((f"{e}.{down}.weight",) for e in each)
