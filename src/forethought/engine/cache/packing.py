"""Keys and values in 8 or 4 bits: whole numbers, with a scale and a zero for each group.

Groups run along tokens for keys (a scale for every channel) and along channels for values
(scales for every token), as in KIVI, arXiv:2402.02750.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_GROUP = {8: 64, 4: 32}  # values that share a scale, by bits


@dataclass(frozen=True)
class Packed:
    """A tensor [K, E, D] in whole numbers."""

    levels: Tensor
    """uint8: 8 bits a value; of 4 bits, two values in one, neighbours along the last axis."""
    scale: Tensor
    """One for each group, [K, E, D] with the grouped axis shortened."""
    zero: Tensor
    """What level 0 stands for, as `scale`."""
    bits: int
    axis: int
    """Along which groups run."""
    dtype: torch.dtype

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All that is held."""
        return self.levels, self.scale, self.zero

    def opened(self) -> Tensor:
        """[K, E, D] again, each value at most half a step from what it was."""
        levels = self.levels
        if self.bits == 4:
            levels = torch.stack([levels & 15, levels >> 4], -1).flatten(-2)
        size, group = levels.shape[self.axis], _GROUP[self.bits]
        scale, zero = (_spread(t, self.axis, size, group) for t in (self.scale, self.zero))
        return torch.addcmul(zero, levels.to(self.dtype), scale)


def packed(values: Tensor, bits: int, axis: int) -> Packed:
    """Values [K, E, D] in `bits` bits, grouped along `axis`; the last axis must be even."""
    group, top = _GROUP[bits], (1 << bits) - 1
    wide = values.float()
    blocks = [part.aminmax(dim=axis, keepdim=True) for part in torch.split(wide, group, axis)]
    low = torch.cat([block.min for block in blocks], axis).to(values.dtype)
    high = torch.cat([block.max for block in blocks], axis)
    # From the zero as it is stored, so that rounding it moves no value out of reach.
    scale = ((high - low.float()) / top).clamp(min=1e-8).to(values.dtype)
    size = values.shape[axis]
    zeros, scales = (_spread(t.float(), axis, size, group) for t in (low, scale))
    levels = ((wide - zeros) / scales).round_().clamp_(0, top).to(torch.uint8)
    if bits == 4:
        levels = levels[..., ::2] | levels[..., 1::2] << 4
    return Packed(levels.contiguous(), scale, low, bits, axis, values.dtype)


def _spread(groups: Tensor, axis: int, size: int, group: int) -> Tensor:
    """Each group's number for all its values."""
    return groups.repeat_interleave(group, axis).narrow(axis, 0, size)
