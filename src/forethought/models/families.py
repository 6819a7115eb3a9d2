"""How each family of models states its shape in `config.json`.

One short function per family turns the raw JSON into the fields of `DecoderConfig`. Files
leave out what equals the family's own default, so each function knows those defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.rope_settings import RopeSettings, read_rope

Raw = Mapping[str, Any]
Fields = dict[str, Any]
"""Values for the fields of `DecoderConfig`, by name."""

_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu": "gelu",
}


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"the activation {name!r} is not supported", f"supported: {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]


def _common(
    raw: Raw, *, theta: float = 10_000.0, epsilon: float = 1e-6, tied: bool = False
) -> Fields:
    """What most families share; the arguments are the family's own defaults."""
    heads, layers = int(raw["num_attention_heads"]), int(raw["num_hidden_layers"])
    head_dim = int(raw.get("head_dim") or raw["hidden_size"] // heads)
    scaling = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    base = float(raw.get("rope_theta") or theta)
    rope = read_rope(raw, scaling, theta=base, head_dim=head_dim)
    context = int(raw["max_position_embeddings"])
    if rope.kind == "yarn":  # often switched on without raising the stated context
        context = max(context, int(rope.original_context * rope.factor))
    return {
        "family": str(raw["model_type"]),
        "vocabulary": int(raw["vocab_size"]),
        "hidden": int(raw["hidden_size"]),
        "intermediate": int(raw["intermediate_size"]),
        "layers": layers,
        "heads": heads,
        "kv_heads": int(raw.get("num_key_value_heads") or heads),
        "head_dim": head_dim,
        "context": context,
        "epsilon": float(raw.get("rms_norm_eps") or epsilon),
        "ropes": (rope,),
        "layer_ropes": (0,) * layers,
        "windows": (None,) * layers,
        "scale": head_dim**-0.5,
        "tied": bool(raw.get("tie_word_embeddings", tied)),
        "activation": _activation(str(raw.get("hidden_act", "silu"))),
    }


def _biases(raw: Raw) -> Fields:
    attention, mlp = bool(raw.get("attention_bias")), bool(raw.get("mlp_bias"))
    return {"attention_bias": attention, "output_bias": attention, "mlp_bias": mlp}


def _window(raw: Raw) -> int | None:
    """The window of files that name one even where it is switched off."""
    return raw.get("sliding_window", 4096) if raw.get("use_sliding_window") else None


def _late_windows(raw: Raw) -> tuple[int | None, ...]:
    """Windows on the layers named sliding, or from `max_window_layers` on."""
    window, first = _window(raw), int(raw.get("max_window_layers", 28))
    layers = int(raw["num_hidden_layers"])
    sliding = _sliding(raw) or [i >= first for i in range(layers)]
    return tuple(window if slides else None for slides in sliding)


def _sliding(raw: Raw) -> Sequence[bool]:
    return [name == "sliding_attention" for name in raw.get("layer_types") or ()]


def _llama(raw: Raw) -> Fields:
    return _common(raw) | _biases(raw)


def _mistral(raw: Raw) -> Fields:
    return _common(raw) | {"windows": (raw.get("sliding_window", 4096),) * raw["num_hidden_layers"]}


def _qwen2(raw: Raw) -> Fields:
    return _common(raw) | {"windows": _late_windows(raw), "attention_bias": True}


def _qwen3(raw: Raw) -> Fields:
    fields = _common({"head_dim": 128, **raw}) | _biases(raw)
    return fields | {"windows": _late_windows(raw), "query_key_norm": "head"}


def _smollm3(raw: Raw) -> Fields:
    fields = _common(raw, theta=2_000_000.0, tied=True) | _biases(raw)
    every = int(raw.get("no_rope_layer_interval") or 4)
    turning = raw.get("no_rope_layers") or [(i + 1) % every for i in range(fields["layers"])]
    sliding = _sliding(raw) or [not turns for turns in turning]
    window = _window(raw)
    return fields | {
        "layer_ropes": tuple(0 if turns else None for turns in turning),
        "windows": tuple(window if slides else None for slides in sliding),
    }


def _phi3(raw: Raw) -> Fields:
    fields = _common(raw, epsilon=1e-5)
    fields["windows"] = (raw.get("sliding_window"),) * fields["layers"]
    rope: RopeSettings = fields["ropes"][0]
    if rope.kind == "longrope" and fields["context"] > rope.original_context:
        fields |= {"context": rope.original_context, "long_context": fields["context"]}
    return fields


def _olmo2(raw: Raw) -> Fields:
    fields = _common(raw, epsilon=1e-5) | _biases(raw)
    order = {"pre_norm": False, "post_norm": True, "late_rounding": True}
    return fields | order | {"query_key_norm": "full"}


def _granite(raw: Raw) -> Fields:
    return (
        _common(raw)
        | _biases(raw)
        | {
            "scale": float(raw.get("attention_multiplier", 1.0)),
            "embedding_scale": float(raw.get("embedding_multiplier", 1.0)),
            "residual_scale": float(raw.get("residual_multiplier", 1.0)),
            "logit_scale": 1.0 / float(raw.get("logits_scaling", 1.0)),
        }
    )


def _mixtral(raw: Raw) -> Fields:
    fields = _common(raw, theta=1_000_000.0, epsilon=1e-5)
    return fields | {
        "windows": (raw.get("sliding_window"),) * fields["layers"],
        "experts": int(raw.get("num_local_experts") or raw["num_experts"]),
        "experts_per_token": int(raw["num_experts_per_tok"]),
        "expert_intermediate": fields["intermediate"],
        "expert_layers": tuple(range(fields["layers"])),
    }


def _qwen3_moe(raw: Raw) -> Fields:
    fields = _common(raw) | _biases(raw)
    step, dense = int(raw.get("decoder_sparse_step") or 1), raw.get("mlp_only_layers") or []
    chosen = (i for i in range(fields["layers"]) if i not in dense and (i + 1) % step == 0)
    return fields | {
        "windows": (_window(raw),) * fields["layers"],
        "query_key_norm": "head",
        "experts": int(raw.get("num_experts") or raw["num_local_experts"]),
        "experts_per_token": int(raw["num_experts_per_tok"]),
        "expert_intermediate": int(raw["moe_intermediate_size"]),
        "expert_layers": tuple(chosen),
        "normalise_experts": bool(raw.get("norm_topk_prob", False)),
    }


_GEMMA3_SIZES = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
}


def _gemma3_text(raw: Raw) -> Fields:
    """Local layers turn by their own base and see a window; every sixth is global."""
    if raw.get("use_bidirectional_attention"):
        raise UnsupportedModelError(
            "a Gemma 3 model with bidirectional attention is not a causal decoder",
            "choose a text generation model",
        )
    whole, local = _gemma3_ropes(raw)
    activation = raw.get("hidden_activation", "gelu_pytorch_tanh")
    plain = {**_GEMMA3_SIZES, **raw, "rope_parameters": whole, "hidden_act": activation}
    fields = _common({**plain, "rope_scaling": None}, theta=1_000_000.0, tied=True) | _biases(raw)
    turning = read_rope(plain, local, theta=10_000.0, head_dim=fields["head_dim"])
    every = int(raw.get("sliding_window_pattern") or raw.get("_sliding_window_pattern") or 6)
    sliding = _sliding(raw) or [bool((i + 1) % every) for i in range(fields["layers"])]
    window = int(raw.get("sliding_window") or 4096)
    return fields | {
        "ropes": (*fields["ropes"], turning),
        "layer_ropes": tuple(map(int, sliding)),
        "windows": tuple(window if slides else None for slides in sliding),
        "scale": float(raw.get("query_pre_attn_scalar", 256)) ** -0.5,
        "post_norm": True,
        "norm_offset": 1.0,
        "late_rounding": True,
        "query_key_norm": "head",
        "embedding_scale": fields["hidden"] ** 0.5,
        "softcap": raw.get("attn_logit_softcapping"),
        "logit_softcap": raw.get("final_logit_softcapping"),
    }


def _gemma3_ropes(raw: Raw) -> tuple[Raw, Raw]:
    """The parameters of the global layers' embedding, then of the local layers'."""
    both = raw.get("rope_parameters") or {}
    stated = raw.get("rope_local_base_freq") or 10_000.0
    whole = both.get("full_attention") or raw.get("rope_scaling") or {}
    return whole, both.get("sliding_attention") or {"rope_theta": stated}


def _gemma3(raw: Raw) -> Fields:
    """The text part of a Gemma 3 that also sees."""
    return _gemma3_text({"model_type": "gemma3_text", **raw["text_config"]})


FAMILIES: dict[str, Callable[[Raw], Fields]] = {
    "gemma3": _gemma3,
    "gemma3_text": _gemma3_text,
    "granite": _granite,
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "olmo2": _olmo2,
    "phi3": _phi3,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
    "smollm3": _smollm3,
}
"""Every model type the built-in decoder runs, and how to read its configuration."""
