"""Limits on the sizes of a decoder, and their consistency.

The limits exceed every published model. They are checked before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from forethought.contracts.errors import DamagedFileError
from forethought.models.checkpoint.claims import MOST_COUNT
from forethought.models.decoder.families import ACTIVATIONS, MOST_EXPERTS, MOST_LAYERS
from forethought.models.decoder.rope_settings import problem

if TYPE_CHECKING:
    from forethought.models.decoder.config import DecoderConfig

_MOST = {
    "vocabulary": 1 << 24,
    "hidden": 1 << 20,
    "intermediate": 1 << 22,
    "layers": MOST_LAYERS,
    "heads": 1 << 14,
    "kv_heads": 1 << 14,
    "head_dim": 1 << 14,
    "context": MOST_COUNT,
}
_NORMS = ("none", "head", "full")


def check_config(config: DecoderConfig, where: str) -> None:
    """Raise DamagedFileError for impossible sizes; `where` names their origin."""
    for wrong in _problems(config):
        raise DamagedFileError(f"{where}: {wrong}", "fetch the model again")


def _problems(config: DecoderConfig) -> Iterator[str]:
    for name, most in _MOST.items():
        if not 1 <= getattr(config, name) <= most:
            yield f"it states {getattr(config, name):,} for {name}, not 1 to {most:,}"
    if config.heads % config.kv_heads:
        yield f"{config.heads} query heads are no multiple of {config.kv_heads} key heads"
    yield from _number_problems(config)
    yield from _layer_problems(config)
    yield from _expert_problems(config)
    for rope in config.ropes:
        if wrong := problem(rope, config.head_dim):
            yield f"rotary embedding: {wrong}"


def _number_problems(config: DecoderConfig) -> Iterator[str]:
    if config.activation not in ACTIVATIONS or config.query_key_norm not in _NORMS:
        yield (
            f"it states the activation {config.activation!r} and the query-key norm "
            f"{config.query_key_norm!r}"
        )
    for name in ("softcap", "logit_softcap"):
        cap = getattr(config, name)
        if cap is not None and not cap > 0:
            yield f"it states {cap:g} for {name}, not a number above 0"
    if not 0 <= config.epsilon < 1:
        yield f"it states {config.epsilon:g} for epsilon, not 0 to 1"


def _layer_problems(config: DecoderConfig) -> Iterator[str]:
    for name in ("layer_ropes", "windows"):
        if len(getattr(config, name)) != config.layers:
            yield f"it states {len(getattr(config, name))} {name} for {config.layers} layers"
    if any(rope is not None and rope >= len(config.ropes) for rope in config.layer_ropes):
        yield f"layers refer to more than its {len(config.ropes)} rotary embeddings"
    if any(window is not None and window < 1 for window in config.windows):
        yield "a sliding window is empty"


def _expert_problems(config: DecoderConfig) -> Iterator[str]:
    if not config.expert_layers:
        return
    if not 1 <= config.experts_per_token <= config.experts <= MOST_EXPERTS:
        yield f"it states {config.experts_per_token} of {config.experts} experts per token"
    if not 1 <= config.expert_intermediate <= _MOST["intermediate"]:
        yield f"it states {config.expert_intermediate:,} for the width of an expert"
    if max(config.expert_layers) >= config.layers:
        yield f"layer {max(config.expert_layers)} has experts, of {config.layers} layers"
