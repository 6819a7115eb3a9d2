"""Quantised keys and values: 8- or 4-bit levels, with a scale and a zero point for each group.

Groups run along tokens for keys (one scale per channel) and along channels for values (one scale
per token), as in KIVI, arXiv:2402.02750.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_GROUP = {8: 64, 4: 32}  # values that share a scale, by bits


@dataclass(frozen=True)
class PackedTensor:
    """A quantised tensor [K, E, D]."""

    levels: Tensor
    """uint8. With 4 bits, each byte holds two neighbours of the last axis."""
    scale: Tensor
    """One per group: [K, E, D] with a shorter grouped axis."""
    zero: Tensor
    """The value of level 0, in the shape of `scale`."""
    bits: int
    axis: int
    """The grouped axis."""
    dtype: torch.dtype

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All tensors."""
        return self.levels, self.scale, self.zero

    def unpack(self) -> Tensor:
        """The dequantised tensor [K, E, D]; each value is off by at most half a step."""
        levels = self.levels
        if self.bits == 4:
            levels = torch.stack([levels & 15, levels >> 4], -1).flatten(-2)
        size, group = levels.shape[self.axis], _GROUP[self.bits]
        scale, zero = (_per_value(t, self.axis, size, group) for t in (self.scale, self.zero))
        return torch.addcmul(zero, levels.to(self.dtype), scale)


def pack(values: Tensor, bits: int, axis: int) -> PackedTensor:
    """Quantise values [K, E, D] in groups along `axis`; the last axis must be even."""
    group, top = _GROUP[bits], (1 << bits) - 1
    wide = values.float()
    blocks = [part.aminmax(dim=axis, keepdim=True) for part in torch.split(wide, group, axis)]
    low = torch.cat([block.min for block in blocks], axis).to(values.dtype)
    high = torch.cat([block.max for block in blocks], axis)
    # The stored, rounded zero point is used, so every value stays within the levels.
    scale = ((high - low.float()) / top).clamp(min=1e-8).to(values.dtype)
    size = values.shape[axis]
    zeros, scales = (_per_value(t.float(), axis, size, group) for t in (low, scale))
    levels = ((wide - zeros) / scales).round_().clamp_(0, top).to(torch.uint8)
    if bits == 4:
        levels = levels[..., ::2] | levels[..., 1::2] << 4
    return PackedTensor(levels.contiguous(), scale, low, bits, axis, values.dtype)


def _per_value(groups: Tensor, axis: int, size: int, group: int) -> Tensor:
    """Repeat each group's number for all its values."""
    return groups.repeat_interleave(group, axis).narrow(axis, 0, size)
