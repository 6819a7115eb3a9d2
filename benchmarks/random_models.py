"""Decoders of random weights with published shapes, so that nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.names import sources
from forethought.models.load import load
from forethought.models.model import Model
from forethought.models.tokenization.tokenizer import Tokenizer

SIZES: dict[str, dict[str, Any]] = {
    "qwen-coder-1.5b": {
        "vocab_size": 151936,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "rope_theta": 1e6,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "vocab_size": 2048,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "rope_theta": 1e4,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
    },
}
TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>assistant: "


def named(name: str, device: torch.device) -> Model:
    """A model that the model cache holds or that can be fetched."""
    return load(name, weights="bf16", device=str(device))


def made(device: torch.device) -> Model:
    """A model of random weights behind a tokenizer of bytes."""
    name = "tiny" if device.type == "cpu" else "qwen-coder-1.5b"
    network = network_of(SIZES[name], device, torch.bfloat16)
    return Model(f"{name}, random", Path(), network, tokenizer_of(network), TEMPLATE)


def network_of(sizes: dict[str, Any], device: torch.device, dtype: torch.dtype) -> Decoder:
    """A decoder of random weights, the same on every device."""
    config = DecoderConfig.from_transformers({"model_type": "qwen2", **sizes})
    generator = torch.Generator().manual_seed(0)
    small = config.vocabulary * config.hidden < 1 << 24

    def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
        if len(shape) == 1:
            return torch.full(shape, float("norm" in name), dtype=dtype, device=device)
        if small:
            return (0.08 * torch.randn(shape, generator=generator)).to(device, dtype)
        return torch.randn(shape, dtype=dtype, device=device).mul_(0.02)

    tensors = {name: drawn(name, shape) for name, shape in shapes_of(config)}
    return Decoder(config, tensors, build_linears(tensors, {}, "bf16"))


def shapes_of(config: DecoderConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of a dense decoder with their shapes."""
    hidden, inner = config.hidden, config.intermediate
    width = config.heads * config.head_dim
    both = width + 2 * config.kv_heads * config.head_dim
    of_part = {"embed": (config.vocabulary, hidden), "qkv": (both, hidden), "out": (hidden, width)}
    of_part |= {"gate_up": (2 * inner, hidden), "down": (hidden, inner)}
    for name in sources(config):
        *_, part, kind = name.split(".")
        shape = of_part.get(part, (hidden,))
        yield name, shape[:1] if kind == "bias" else shape


def tokenizer_of(network: Decoder) -> Tokenizer:
    """Bytes and two control tokens; the network's other tokens have no text."""
    from tokenizers import AddedToken, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Inner

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Inner(models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<s>"), AddedToken("</s>")])
    end = inner.token_to_id("</s>")
    rows = network.shape.vocabulary
    return Tokenizer(inner, bos=inner.token_to_id("<s>"), ends=[end], rows=rows)
