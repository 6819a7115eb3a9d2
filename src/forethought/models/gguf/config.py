"""Translates GGUF metadata into a transformers configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.decoder.families import MOST_LAYERS
from forethought.models.gguf.file import GgufFile

Config = dict[str, Any]
_AGAIN = "fetch the file again"
_LONGEST_KIND = 64
_MOST_DIVISORS = 1 << 14
_GEMMA3_27B_LAYERS = 62  # the only size whose query scale is not the head dimension's


class _Facts:
    """The metadata of one architecture, without the key prefix."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        every = Claims(file.metadata, str(file.path), _AGAIN)
        self.kind = every.text("general.architecture", "unknown", longest=_LONGEST_KIND)
        prefix = f"{self.kind}."
        own = {
            key.removeprefix(prefix): value
            for key, value in file.metadata.items()
            if key.startswith(prefix)
        }
        self.claims = Claims(own, f"{file.path}, {self.kind}", _AGAIN)

    @property
    def layers(self) -> int:
        return self.claims.count("block_count", most=MOST_LAYERS)

    def number(self, key: str, default: float | None = None) -> float:
        # Metadata holds 32-bit floats: 9.99999974e-07 stands for 1e-06.
        return float(f"{self.claims.number(key, default):.7g}")

    def maybe_number(self, key: str) -> float | None:
        return self.number(key) if self.claims.has(key) else None

    def count(self, key: str, default: int | None = None) -> int:
        return self.claims.count(key, default)

    def same(self, key: str, default: int | None = None) -> int:
        """A count that may be stated per layer but must be the same in all layers."""
        stated = self.claims.stated.get(key)
        if not isinstance(stated, list | np.ndarray):
            return self.count(key, default)
        found = self.claims.counts(key)
        if len(found) < self.layers:
            raise self.claims.wrong(key, stated, f"{self.layers}, one for each layer")
        if len(distinct := set(found[: self.layers])) > 1:
            raise UnsupportedModelError(
                f"{self.claims.where} states different values of {key!r} for its layers: "
                f"{min(distinct)} to {max(distinct)}",
                "use a model whose layers have equal sizes",
            )
        return Claims({key: found[0]}, self.claims.where, _AGAIN).count(key)

    def window(self) -> int | None:
        """The sliding window in positions; None for full attention."""
        return self.claims.count("attention.sliding_window", 0, least=0) or None

    def has(self, tensor: str) -> bool:
        return tensor in self.file.tensors


def config_of(file: GgufFile) -> Config:
    """The configuration as transformers would write it.

    Raises UnsupportedModelError for an unknown architecture.
    """
    facts = _Facts(file)
    family = _FAMILIES.get(facts.kind)
    if family is None:
        raise UnsupportedModelError(
            f"GGUF files of architecture {shortened(facts.kind)} are not supported",
            f"supported: {', '.join(sorted(_FAMILIES))}",
        )
    return {**_common(facts), **family(facts)}


def _common(facts: _Facts) -> Config:
    if not facts.has("token_embd.weight"):
        raise DamagedFileError(f"{facts.file.path} holds no embedding", _AGAIN)
    hidden, heads = facts.count("embedding_length"), facts.same("attention.head_count")
    head_dim = facts.count("attention.key_length", max(1, hidden // heads))
    rotated = facts.count("rope.dimension_count", head_dim)
    return {
        "vocab_size": facts.file.tensors["token_embd.weight"].shape[0],
        "hidden_size": hidden,
        "intermediate_size": facts.same("feed_forward_length"),
        "num_hidden_layers": facts.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": facts.same("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "max_position_embeddings": facts.count("context_length"),
        "rms_norm_eps": facts.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": facts.number("rope.freq_base", 10_000.0),
        "partial_rotary_factor": rotated / head_dim,
        "rope_scaling": _scaling(facts),
        "tie_word_embeddings": not facts.has("output.weight"),
        "attention_bias": facts.has("blk.0.attn_q.bias"),
        "mlp_bias": facts.has("blk.0.ffn_up.bias"),
    }


def _scaling(facts: _Facts) -> Config | None:
    if divisors := _rope_divisors(facts):
        return divisors
    kind = facts.claims.text("rope.scaling.type", "none")
    if kind == "none":
        return None
    stated = {"rope_type": kind, "factor": facts.number("rope.scaling.factor")}
    original = facts.claims.maybe_count("rope.scaling.original_context_length", least=0)
    return {**stated, "original_max_position_embeddings": original} if original else stated


def _rope_divisors(facts: _Facts) -> Config | None:
    """RoPE scaling with explicit divisors, if the file stores them as a tensor."""
    short = _values(facts, "rope_factors_short.weight") or _values(facts, "rope_freqs.weight")
    if not short:
        return None
    plain = 1.0 if facts.has("rope_freqs.weight") else None
    return {
        "rope_type": "longrope",
        "short_factor": short,
        "long_factor": _values(facts, "rope_factors_long.weight") or short,
        "attention_factor": facts.maybe_number("rope.scaling.attn_factor") or plain,
        "original_max_position_embeddings": facts.count(
            "rope.scaling.original_context_length", facts.count("context_length")
        ),
    }


def _values(facts: _Facts, name: str) -> list[float]:
    if not facts.has(name):
        return []
    tensor = facts.file.tensors[name]
    if len(tensor.shape) != 1 or tensor.shape[0] > _MOST_DIVISORS:
        raise DamagedFileError(
            f"{facts.file.path}: {name} has the shape {list(tensor.shape)}", _AGAIN
        )
    values: list[float] = tensor.dense().tolist()
    return values


def _llama(facts: _Facts) -> Config:
    if facts.claims.count("expert_count", 0, least=0):
        sizes = {
            "num_local_experts": facts.count("expert_count"),
            "num_experts_per_tok": facts.count("expert_used_count"),
        }
        return {"model_type": "mixtral", **sizes}
    if window := facts.window():
        return {"model_type": "mistral", "sliding_window": window}
    return {"model_type": "llama"}


def _granite(facts: _Facts) -> Config:
    return {
        "model_type": "granite",
        "attention_multiplier": facts.number("attention.scale"),
        "embedding_multiplier": facts.number("embedding_scale", 1.0),
        "residual_multiplier": facts.number("residual_scale", 1.0),
        "logits_scaling": facts.number("logit_scale", 1.0),
    }


def _gemma3(facts: _Facts) -> Config:
    wide = facts.count("embedding_length") // facts.same("attention.head_count")
    narrow = facts.count("attention.key_length")
    return {
        "model_type": "gemma3_text",
        "sliding_window": facts.count("attention.sliding_window"),
        "query_pre_attn_scalar": wide if facts.layers == _GEMMA3_27B_LAYERS else narrow,
        "final_logit_softcapping": facts.maybe_number("final_logit_softcapping") or None,
        **_pattern(facts),
    }


def _pattern(facts: _Facts) -> Config:
    """The layers with a sliding window: a flag per layer, or a period."""
    key = "attention.sliding_window_pattern"
    if not isinstance(facts.claims.stated.get(key), np.ndarray):
        return {"sliding_window_pattern": facts.claims.maybe_count(key)}
    slides = facts.claims.items(key)[: facts.layers]
    return {"layer_types": ["sliding_attention" if s else "full_attention" for s in slides]}


def _phi3(facts: _Facts) -> Config:
    return {"model_type": "phi3", "sliding_window": facts.window()}


def _qwen3_moe(facts: _Facts) -> Config:
    return {
        "model_type": "qwen3_moe",
        "num_experts": facts.count("expert_count"),
        "num_experts_per_tok": facts.count("expert_used_count"),
        "moe_intermediate_size": facts.count("expert_feed_forward_length"),
        "norm_topk_prob": True,
    }


def _plain(model_type: str) -> Callable[[_Facts], Config]:
    return lambda facts: {"model_type": model_type}


_FAMILIES: dict[str, Callable[[_Facts], Config]] = {
    "gemma3": _gemma3,
    "granite": _granite,
    "llama": _llama,
    "olmo2": _plain("olmo2"),
    "phi3": _phi3,
    "qwen2": _plain("qwen2"),
    "qwen3": _plain("qwen3"),
    "qwen3moe": _qwen3_moe,
    "smollm3": _plain("smollm3"),
}
