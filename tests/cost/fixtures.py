"""Sizes of published models as the cost tests use them, and a slow count of their work."""

from __future__ import annotations

from forethought.models.decoder.config import DecoderConfig
from forethought.models.known_configs import known_config


def config(name: str) -> DecoderConfig:
    """The decoder that the table describes under this name."""
    found = known_config(name)
    assert found is not None
    return DecoderConfig.from_transformers(found)


def tiny(**changes: object) -> DecoderConfig:
    """A decoder of three layers whose every product can be written down."""
    sizes = {
        "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 512,
    }  # fmt: skip
    return DecoderConfig.from_transformers({"model_type": "llama", **sizes, **changes})
