"""Quantises matrices to 4 and 8 bits, in the layout of this machine's kernels."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GROUP = 32
"""Values of a row that share a scale and a zero."""
HEAD_BLOCK = 64
"""Row tile of the 4-bit kernel; a head is packed in multiples of it."""


_LAYOUT = 2  # raised with every change of the packed tensors


def machine() -> str:
    """The properties of this machine that the packed layout depends on."""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"layout {_LAYOUT}, torch {torch.__version__}, {platform.machine()}, {capability}"


def packed_name() -> str:
    """File name of a converted folder's weights packed for this machine."""
    return f"decode-{hashlib.sha256(machine().encode()).hexdigest()[:12]}.safetensors"


@dataclass(frozen=True)
class Levels:
    """A 4-bit matrix: weight[n, k] = (levels[n, k] - 8) * scale[n, k // 32] + zero[n, k // 32]."""

    levels: Tensor
    """uint8 [N, K], 0 to 15."""
    scale: Tensor
    """float32 [N, K / 32]."""
    zero: Tensor
    """float32 [N, K / 32]."""

    @staticmethod
    def concat(parts: Sequence[Levels]) -> Levels:
        """The rows of all parts, in order."""
        return Levels(
            torch.cat([part.levels for part in parts]),
            torch.cat([part.scale for part in parts]),
            torch.cat([part.zero for part in parts]),
        )

    def rows(self, index: Tensor) -> Levels:
        """The rows at these indices, in their order."""
        return Levels(self.levels[index], self.scale[index], self.zero[index])

    def dense(self) -> Tensor:
        """The dequantised matrix: float32 [N, K]."""
        groups = (self.levels.float() - 8).view(len(self.levels), -1, GROUP)
        whole: Tensor = groups * self.scale[..., None] + self.zero[..., None]
        return whole.flatten(1)


def quantise4(weight: Tensor) -> Levels:
    """The 4-bit levels of weight [N, K], with a range per group of 32.

    Each group uses the best of five ranges by squared error: clipping an outlier gives the other
    values finer steps.
    """
    groups = weight.float().reshape(len(weight), -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    best: tuple[Tensor, Tensor, Tensor] | None = None
    best_error = torch.full_like(low, torch.inf)
    for shrink in (1.0, 0.95, 0.9, 0.85, 0.8):
        middle, half = (high + low) / 2, (high - low) / 2 * shrink
        scale = (2 * half / 15).clamp_min(1e-8)
        levels = ((groups - (middle - half)) / scale).round_().clamp_(0, 15)
        zero = middle - half + 8 * scale
        error = ((levels - 8) * scale + zero - groups).square_().sum(-1, keepdim=True)
        better = error < best_error
        new = (levels.to(torch.uint8), scale, zero)
        best = new if best is None else _pick(better, new, best)
        best_error = torch.minimum(error, best_error)
    assert best is not None
    return Levels(best[0].flatten(1), best[1][..., 0], best[2][..., 0])


def _pick(
    better: Tensor, new: tuple[Tensor, Tensor, Tensor], old: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    levels, scale, zero = (torch.where(better, n, o) for n, o in zip(new, old, strict=True))
    return levels, scale, zero


def pack_levels(matrix: Levels) -> dict[str, Tensor]:
    """The tensors of a 4-bit product, in the layout of this machine's kernel."""
    scales = torch.stack([matrix.scale, matrix.zero], -1).transpose(0, 1)
    return {
        "int4": torch.ops.aten._convert_weight_to_int4pack_for_cpu(
            matrix.levels.to(torch.int32), 1
        ),
        "int4_scales": scales.contiguous().bfloat16(),
    }


def pack_head(weight: Tensor) -> dict[str, Tensor]:
    """The language model head [V, H] in 8 bit, in two layouts.

    8 bit, because the head's errors reach the logits undamped. One layout has a scale per row. The
    other, for sizes that fit the 4-bit kernel, has groups of 32 as two 4-bit matrices: the high and
    the low halves of the levels. Their speeds differ between machines.
    """
    rows = quantise8(weight)
    if len(weight) % HEAD_BLOCK:
        return rows
    groups = weight.float().reshape(len(weight), -1, GROUP)
    scale = groups.abs().amax(-1).clamp_min_(1e-12) / 127
    levels = (groups / scale[..., None]).round_().clamp_(-127, 127).to(torch.int16).flatten(1)
    high = levels >> 4
    planes = {
        "high": Levels((high + 8).to(torch.uint8), scale * 16, torch.zeros_like(scale)),
        "low": Levels((levels - (high << 4)).to(torch.uint8), scale, scale * 8),
    }
    return rows | {
        suffix.replace("int4", half): tensor
        for half, plane in planes.items()
        for suffix, tensor in pack_levels(plane).items()
    }


def stacked(pieces: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One packed matrix from the tensors of its row blocks (multiples of 64 rows)."""
    # Scales of 4-bit matrices are [groups, rows, 2], everything else has rows first.
    return {
        suffix: torch.cat([piece[suffix] for piece in pieces], int(first.dim() == 3))
        for suffix, first in pieces[0].items()
    }


def quantise8(weight: Tensor) -> dict[str, Tensor]:
    """int8 [N, K] and a bf16 scale [N] per row; levels are chosen for the rounded scale."""
    scale = (weight.float().abs().amax(1).clamp_min(1e-12) / 127).bfloat16()
    levels = (weight.float() / scale[:, None]).round_().clamp_(-127, 127)
    return {"int8": levels.to(torch.int8), "int8_scales": scale}
