"""Unpacks 4-bit GGUF blocks into Levels: the stored integers and scales, without requantisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from forethought.models.decoder.quantise import GROUP, Levels
from forethought.models.gguf.file import GgufTensor


def levels_of(tensor: GgufTensor) -> Levels | None:
    """The levels of a matrix stored as Q4_0, Q4_1 or Q4_K; otherwise None."""
    unpack = _KINDS.get(tensor.kind)
    if unpack is None or len(tensor.shape) != 2:
        return None
    rows, columns = tensor.shape
    blocks = torch.from_numpy(tensor.data()).view(rows, -1, _BLOCK_BYTES[tensor.kind])
    levels, scale, zero = unpack(blocks)
    groups = columns // GROUP
    return Levels(
        levels.reshape(rows, columns), scale.reshape(rows, groups), zero.reshape(rows, groups)
    )


_Parts = tuple[Tensor, Tensor, Tensor]


def _halves(blocks: Tensor) -> Tensor:
    """float32 values of bytes that hold 16-bit floats."""
    return blocks.contiguous().view(torch.float16).float()


def _nibbles(packed: Tensor) -> Tensor:
    """[..., n] bytes to [..., 2n]: all low nibbles, then all high nibbles."""
    return torch.cat([packed & 15, packed >> 4], -1)


def _q4_0(blocks: Tensor) -> _Parts:
    scale = _halves(blocks[..., :2])
    return _nibbles(blocks[..., 2:]), scale, torch.zeros_like(scale)


def _q4_1(blocks: Tensor) -> _Parts:
    scale, least = _halves(blocks[..., :4]).chunk(2, -1)
    return _nibbles(blocks[..., 4:]), scale, least + 8 * scale


def _q4_k(blocks: Tensor) -> _Parts:
    """Superblocks of eight groups, with 6-bit scales and minima times two 16-bit floats."""
    unit, least_unit = _halves(blocks[..., :4]).chunk(2, -1)
    first, second, third = blocks[..., 4:16].chunk(3, -1)
    steps = torch.cat([first & 63, (third & 15) | (first >> 6 << 4)], -1)
    minima = torch.cat([second & 63, (third >> 4) | (second >> 6 << 4)], -1)
    scale = unit * steps
    levels = _nibbles(blocks[..., 16:].reshape(*blocks.shape[:-1], 4, GROUP))
    return levels, scale, 8 * scale - least_unit * minima


_KINDS: dict[str, Callable[[Tensor], _Parts]] = {"Q4_0": _q4_0, "Q4_1": _q4_1, "Q4_K": _q4_k}
_BLOCK_BYTES = {"Q4_0": 18, "Q4_1": 20, "Q4_K": 144}
