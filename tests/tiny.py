"""A tiny random decoder, whose every logit can be checked against a plain forward pass."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.names import sources

DEVICE = os.environ.get("FORETHOUGHT_TEST_DEVICE", "cpu")
"""Where tiny decoders run: `FORETHOUGHT_TEST_DEVICE=cuda pytest` tries a GPU."""

SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
}


def tiny_decoder(
    *, seed: int = 0, dtype: torch.dtype = torch.float64, scale: float = 0.35, **changes: object
) -> Decoder:
    """A Llama-like decoder with weights large enough that attention is far from uniform."""
    config, tensors = tiny_tensors(seed=seed, scale=scale, **changes)
    tensors = {name: tensor.to(DEVICE, dtype) for name, tensor in tensors.items()}
    return Decoder(config, tensors, build_linears(tensors, {}, "bf16"))


def tiny_tensors(
    *, seed: int = 0, scale: float = 0.35, **changes: object
) -> tuple[DecoderConfig, dict[str, Tensor]]:
    """The configuration and the tensors of such a decoder."""
    config = DecoderConfig.from_transformers({"model_type": "llama", **SIZES, **changes})
    generator = torch.Generator().manual_seed(seed)
    return config, {name: _random(name, config, generator, scale) for name in sources(config)}


def _random(name: str, config: DecoderConfig, generator: torch.Generator, scale: float) -> Tensor:
    width = config.heads * config.head_dim
    both = width + 2 * config.kv_heads * config.head_dim
    shapes = {
        "embed": (config.vocabulary, config.hidden),
        "head": (config.vocabulary, config.hidden),
        "qkv": (both, config.hidden),
        "out": (config.hidden, width),
        "gate_up": (2 * config.intermediate, config.hidden),
        "down": (config.hidden, config.intermediate),
    }
    part = name.split(".")[-2]
    if part not in shapes:
        return torch.ones(config.hidden)
    spread = 1.5 * scale if part == "qkv" else scale
    return torch.randn(shapes[part], generator=generator) * spread


def tokens_of(count: int, seed: int = 0) -> list[int]:
    """Random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, SIZES["vocab_size"], (count,), generator=generator).tolist()


def batch_of(decoder: Decoder) -> Batch:
    """A batch with a clock that stands still."""
    return Batch(decoder, Meter(lambda: 0.0))


def fresh_logits(decoder: Decoder, tokens: list[int]) -> Tensor:
    """Logits [V] after the tokens, from a new row."""
    with torch.inference_mode():
        return batch_of(decoder).prefill(SequenceCache(len(decoder.shape.layers)), tokens)
