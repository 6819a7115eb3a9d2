"""Reads the `config.json` of each model family.

One short function per family returns the fields of `DecoderConfig`. Files omit values that equal
the family's defaults, so each function supplies those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.decoder.rope_settings import RopeSettings, read_rope

Fields = dict[str, Any]
"""Values for the fields of `DecoderConfig`, by name."""

MOST_LAYERS = 1 << 12
MOST_EXPERTS = 1 << 14
"""Layers and experts are limited on reading; other limits are in `config_limits`."""
_WINDOW = 4096
_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu": "gelu",
}


ACTIVATIONS = frozenset(_ACTIVATIONS.values())
"""The supported activations of a gate."""


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"the activation {shortened(name)} is not supported",
            f"supported: {', '.join(_ACTIVATIONS)}",
        )
    return _ACTIVATIONS[name]


def _layers(raw: Claims) -> int:
    return raw.count("num_hidden_layers", most=MOST_LAYERS)


def _common(
    raw: Claims, *, theta: float = 10_000.0, epsilon: float = 1e-6, tied: bool = False
) -> Fields:
    """The fields that most families share; the arguments are the family's defaults."""
    heads, layers, hidden = raw.count("num_attention_heads"), _layers(raw), raw.count("hidden_size")
    head_dim = raw.count("head_dim", hidden // heads)
    scaling = raw.inner("rope_parameters")
    scaling = scaling if scaling.stated else raw.inner("rope_scaling")
    base = raw.number("rope_theta", theta, above=0)
    rope = read_rope(raw, scaling, theta=base, head_dim=head_dim)
    context = raw.count("max_position_embeddings")
    if rope.kind == "yarn":  # often enabled without raising max_position_embeddings
        context = max(context, int(rope.original_context * rope.factor))
    return {
        "family": raw.text("model_type"),
        "vocabulary": raw.count("vocab_size"),
        "hidden": hidden,
        "intermediate": raw.count("intermediate_size"),
        "layers": layers,
        "heads": heads,
        "kv_heads": raw.count("num_key_value_heads", heads),
        "head_dim": head_dim,
        "context": context,
        "epsilon": raw.number("rms_norm_eps", epsilon, above=0),
        "ropes": (rope,),
        "layer_ropes": (0,) * layers,
        "windows": (None,) * layers,
        "scale": head_dim**-0.5,
        "tied": raw.flag("tie_word_embeddings", tied),
        "activation": _activation(raw.text("hidden_act", "silu")),
    }


def _biases(raw: Claims) -> Fields:
    attention, mlp = raw.flag("attention_bias", False), raw.flag("mlp_bias", False)
    return {"attention_bias": attention, "output_bias": attention, "mlp_bias": mlp}


def _window(raw: Claims) -> int | None:
    """The sliding window of families whose files state one even if it is disabled."""
    if not raw.flag("use_sliding_window", False):
        return None
    return raw.over({"sliding_window": _WINDOW}).maybe_count("sliding_window")


def _late_windows(raw: Claims) -> tuple[int | None, ...]:
    """Windows on the layers named sliding, or from `max_window_layers` on."""
    window, first = _window(raw), raw.count("max_window_layers", 28, least=0)
    sliding = _sliding(raw) or [i >= first for i in range(_layers(raw))]
    return tuple(window if slides else None for slides in sliding)


def _sliding(raw: Claims) -> Sequence[bool]:
    """Whether each layer uses a sliding window; empty if layers are not named."""
    named = raw.texts("layer_types") if raw.has("layer_types") else []
    if named and len(named) != _layers(raw):
        raise raw.wrong("layer_types", named, f"{_layers(raw)}, one for each layer")
    if strange := set(named) - {"full_attention", "sliding_attention"}:
        raise UnsupportedModelError(
            f"layers of type {shortened(min(strange))} are not supported",
            "supported: full_attention, sliding_attention",
        )
    return [name == "sliding_attention" for name in named]


def _llama(raw: Claims) -> Fields:
    return _common(raw) | _biases(raw)


def _mistral(raw: Claims) -> Fields:
    window = raw.over({"sliding_window": _WINDOW}).maybe_count("sliding_window")
    return _common(raw) | {"windows": (window,) * _layers(raw)}


def _qwen2(raw: Claims) -> Fields:
    return _common(raw) | {"windows": _late_windows(raw), "attention_bias": True}


def _qwen3(raw: Claims) -> Fields:
    fields = _common(raw.over({"head_dim": 128})) | _biases(raw)
    return fields | {"windows": _late_windows(raw), "query_key_norm": "head"}


def _smollm3(raw: Claims) -> Fields:
    fields = _common(raw, theta=2_000_000.0, tied=True) | _biases(raw)
    rotated = _rotated_layers(raw)
    sliding = _sliding(raw) or [not rotates for rotates in rotated]
    window = _window(raw)
    return fields | {
        "layer_ropes": tuple(0 if rotates else None for rotates in rotated),
        "windows": tuple(window if slides else None for slides in sliding),
    }


def _rotated_layers(raw: Claims) -> Sequence[int]:
    """Whether each layer uses its rotary embedding."""
    every = raw.count("no_rope_layer_interval", 4)
    stated = raw.counts("no_rope_layers", most=1) if raw.has("no_rope_layers") else []
    if stated and len(stated) != _layers(raw):
        raise raw.wrong("no_rope_layers", stated, f"{_layers(raw)}, one for each layer")
    return stated or [min((i + 1) % every, 1) for i in range(_layers(raw))]


def _phi3(raw: Claims) -> Fields:
    fields = _common(raw, epsilon=1e-5)
    fields["windows"] = (raw.maybe_count("sliding_window"),) * fields["layers"]
    rope: RopeSettings = fields["ropes"][0]
    if rope.kind == "longrope" and fields["context"] > rope.original_context:
        fields |= {"context": rope.original_context, "long_context": fields["context"]}
    return fields


def _olmo2(raw: Claims) -> Fields:
    fields = _common(raw, epsilon=1e-5) | _biases(raw)
    order = {"pre_norm": False, "post_norm": True, "late_rounding": True}
    return fields | order | {"query_key_norm": "full"}


def _granite(raw: Claims) -> Fields:
    return (
        _common(raw)
        | _biases(raw)
        | {
            "scale": raw.number("attention_multiplier", 1.0, above=0),
            "embedding_scale": raw.number("embedding_multiplier", 1.0, above=0),
            "residual_scale": raw.number("residual_multiplier", 1.0, above=0),
            "logit_scale": 1.0 / raw.number("logits_scaling", 1.0, above=1e-30),
        }
    )


def _mixtral(raw: Claims) -> Fields:
    fields = _common(raw, theta=1_000_000.0, epsilon=1e-5)
    return fields | {
        "windows": (raw.maybe_count("sliding_window"),) * fields["layers"],
        "experts": _experts(raw, "num_local_experts", "num_experts"),
        "experts_per_token": raw.count("num_experts_per_tok", most=MOST_EXPERTS),
        "expert_intermediate": fields["intermediate"],
        "expert_layers": tuple(range(fields["layers"])),
    }


def _experts(raw: Claims, key: str, other: str) -> int:
    return raw.count(key if raw.has(key) else other, most=MOST_EXPERTS)


def _qwen3_moe(raw: Claims) -> Fields:
    fields = _common(raw) | _biases(raw)
    step = raw.count("decoder_sparse_step", 1)
    dense = set(raw.counts("mlp_only_layers")) if raw.has("mlp_only_layers") else set()
    chosen = (i for i in range(fields["layers"]) if i not in dense and (i + 1) % step == 0)
    return fields | {
        "windows": (_window(raw),) * fields["layers"],
        "query_key_norm": "head",
        "experts": _experts(raw, "num_experts", "num_local_experts"),
        "experts_per_token": raw.count("num_experts_per_tok", most=MOST_EXPERTS),
        "expert_intermediate": raw.count("moe_intermediate_size"),
        "expert_layers": tuple(chosen),
        "normalise_experts": raw.flag("norm_topk_prob", False),
    }


_GEMMA3_SIZES = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131_072,
}


def _gemma3_text(raw: Claims) -> Fields:
    """Local layers use their own RoPE base and a sliding window; every sixth is global."""
    if raw.flag("use_bidirectional_attention", False):
        raise UnsupportedModelError(
            "a Gemma 3 model with bidirectional attention is not a causal decoder",
            "choose a text generation model",
        )
    whole, local = _gemma3_ropes(raw)
    activation = raw.text("hidden_activation", "gelu_pytorch_tanh")
    changes = {"rope_parameters": whole.stated, "hidden_act": activation, "rope_scaling": None}
    plain = Claims({**_GEMMA3_SIZES, **raw.stated, **changes}, raw.where, raw.hint)
    fields = _common(plain, theta=1_000_000.0, tied=True) | _biases(raw)
    local_rope = read_rope(plain, local, theta=10_000.0, head_dim=fields["head_dim"])
    sliding = _sliding(raw) or _five_of_six(raw)
    window = raw.count("sliding_window", _WINDOW)
    return fields | {
        "ropes": (*fields["ropes"], local_rope),
        "layer_ropes": tuple(map(int, sliding)),
        "windows": tuple(window if slides else None for slides in sliding),
        "scale": raw.number("query_pre_attn_scalar", 256.0, above=0) ** -0.5,
        "post_norm": True,
        "norm_offset": 1.0,
        "late_rounding": True,
        "query_key_norm": "head",
        "embedding_scale": fields["hidden"] ** 0.5,
        "softcap": raw.maybe_number("attn_logit_softcapping", above=0),
        "logit_softcap": raw.maybe_number("final_logit_softcapping", above=0),
    }


def _five_of_six(raw: Claims) -> Sequence[bool]:
    every = raw.count("sliding_window_pattern", raw.count("_sliding_window_pattern", 6))
    return [bool((i + 1) % every) for i in range(_layers(raw))]


def _gemma3_ropes(raw: Claims) -> tuple[Claims, Claims]:
    """RoPE parameters of the global layers, then of the local layers."""
    both = raw.inner("rope_parameters")
    stated = raw.number("rope_local_base_freq", 10_000.0, above=0)
    whole = both.inner("full_attention")
    local = both.inner("sliding_attention")
    return (
        whole if whole.stated else raw.inner("rope_scaling"),
        local if local.stated else Claims({"rope_theta": stated}, raw.where, raw.hint),
    )


def _gemma3(raw: Claims) -> Fields:
    """The text part of a multimodal Gemma 3."""
    if not raw.has("text_config"):
        raise DamagedFileError(f"{raw.where} states no 'text_config'", raw.hint)
    return _gemma3_text(raw.inner("text_config").over({"model_type": "gemma3_text"}))


FAMILIES: dict[str, Callable[[Claims], Fields]] = {
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
"""Readers of the model types that the built-in decoder supports."""
