"""Tiny transformers models with random weights, and our decoder over the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import Linear
from forethought.models.decoder.names import sources

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def random_model(model_type: str, seed: int = 0, **settings: Any) -> Any:
    """A transformers model in float32, with norms and biases that are random too."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **{**SIZES, **settings})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model


class PlainLinear:
    """F.linear, whatever the phase."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def bytes(self, phase: str) -> int:
        return self.weight.nbytes


def plain_linears(tensors: dict[str, Tensor]) -> Callable[[str], Linear]:
    def build(name: str) -> Linear:
        weight = tensors.get(f"{name}.weight", tensors["embed.weight"])
        return PlainLinear(weight, tensors.get(f"{name}.bias"))

    return build


def canonical(config: DecoderConfig, published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors under our names, joined as `names` says."""

    def join(source: tuple[Any, ...]) -> Tensor:
        if isinstance(source[0], str):
            return torch.cat([published[name] for name in source])
        return torch.stack([join(names) for names in source])

    return {name: join(source) for name, source in sources(config, published).items()}


def decoder_like(model: Any, dtype: torch.dtype = torch.float32) -> Decoder:
    """Our decoder over the weights of a transformers model."""
    config = DecoderConfig.from_transformers(model.config.to_dict())
    tensors = canonical(config, {k: v.to(dtype) for k, v in model.state_dict().items()})
    return Decoder(config, tensors, plain_linears(tensors))


@torch.inference_mode()
def stock_logits(model: Any, prompts: list[list[int]]) -> Tensor:
    """The model's own logits for each prompt alone, packed: [all tokens, V]."""
    return torch.cat(
        [model(torch.tensor([prompt]), use_cache=False).logits[0] for prompt in prompts]
    )
