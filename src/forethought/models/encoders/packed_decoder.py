"""Decoders with a head of their own, whose forward pass packs several texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.models.checkpoint.checkpoint import Checkpoint
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import Linear, build_linears
from forethought.models.decoder.names import Source
from forethought.models.fallback.self_check import exact_attention

Read = Callable[[str], Tensor]
"""Reads a tensor to the device by its published name."""


def reader(checkpoint: Checkpoint, device: str) -> Read:
    """Reads the tensors of a checkpoint; float16 becomes bf16."""

    def read(name: str) -> Tensor:
        tensor = checkpoint.tensor(name)
        # float16 overflows in some of these models.
        return tensor.to(device, torch.bfloat16 if tensor.dtype == torch.float16 else tensor.dtype)

    return read


def decoder_of(
    parts: Mapping[str, Source], config: DecoderConfig, head: Linear, read: Read
) -> Decoder:
    """A decoder of these tensors with `head` in the place of its language model head."""
    tensors = {name: joined(part, read) for name, part in parts.items() if name != "head.weight"}
    plain = build_linears(tensors, {}, "bf16")  # in the dtype of the tensors

    def linear(name: str) -> Linear:
        return head if name == "head" else plain(name)

    return Decoder(config, tensors, linear)


def joined(source: Source, read: Read) -> Tensor:
    """A canonical tensor from its source tensors."""
    if isinstance(source[0], str):
        return torch.cat([read(name) for name in source])
    return torch.stack([joined(names, read) for names in cast(tuple[Source, ...], source)])


@dataclass(frozen=True)
class Packed:
    """Causal attention within each of several texts that are packed along one axis."""

    layers: Sequence[LayerShape]
    lengths: list[int]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [N, H, D], k and v [N, K, D] to [N, H * D]."""
        texts = zip(*(torch.split(part, self.lengths) for part in (q, k, v)), strict=True)
        mixed = [_attended(self.layers[layer], *parts) for parts in texts]
        return torch.cat(mixed).flatten(1).to(q.dtype)


def _attended(shape: LayerShape, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [N, H, D], k and v [N, K, D] to [N, H, D]."""
    if shape.softcap is not None or (shape.window is not None and len(q) > shape.window):
        return exact_attention(shape, q, k, v)
    group = shape.heads // shape.kv_heads
    q, k, v = (
        part.repeat_interleave(times, 1).transpose(0, 1)[None]
        for part, times in ((q, 1), (k, group), (v, group))
    )
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=shape.scale)
    return mixed[0].transpose(0, 1)
