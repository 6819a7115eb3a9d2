"""Reads FP8 and int8 weights with scales into bf16.

All supported formats compute weight = (stored - zero point) * scale. The scale of `X.weight` is
`X.weight_scale` or `X.weight_scale_inv`; the latter also multiplies, despite its name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.tensor_folder import FETCH_AGAIN, StoredTensor

SCALED_DTYPES = {"F8_E4M3": "FP8", "F8_E5M2": "FP8", "I8": "int8"}
"""Dtypes that need a scale, and their usual names."""
USE_ANOTHER = "use the model's unquantised weights, an FP8 version, or a GGUF file"

_SCALE_ENDINGS = ("_scale", "_scale_inv")
_ZERO_ENDING = "_zero_point"
_SCALE_DTYPES = ("F32", "F16", "BF16", "F8_E8M0")
_ZERO_DTYPES = ("I8", "I32", "I64", *_SCALE_DTYPES)
_VALUES_AT_ONCE = 1 << 22  # bounds the float32 copies

Block = tuple[int, int]
"""Rows and columns of a weight that share a scale."""


@dataclass(frozen=True)
class ScaledWeight:
    """A quantised weight [..., out, in] with the names of its scale and zero point."""

    name: str
    scale: str
    zero_point: str
    """Empty for symmetric formats."""
    block: Block

    @property
    def companions(self) -> set[str]:
        """Names of its scale and zero point."""
        return {self.scale, self.zero_point} - {""}


def scaled_weights(
    stored: Mapping[str, StoredTensor], blocks: Collection[Block]
) -> dict[str, ScaledWeight]:
    """All quantised weights of a folder by name; `blocks` are possible block sizes.

    Raises UnsupportedModelError for a weight without a scale, or with one of an unexpected shape.
    """
    return {
        name: _scaled(name, stored, blocks)
        for name, tensor in stored.items()
        if tensor.dtype in SCALED_DTYPES and not _is_companion(name, stored)
    }


def _is_companion(name: str, stored: Mapping[str, StoredTensor]) -> bool:
    """Whether a tensor is another weight's scale or zero point, which may be int8 too."""
    return any(
        name.endswith(ending) and name.removesuffix(ending) in stored
        for ending in (*_SCALE_ENDINGS, _ZERO_ENDING)
    )


def _scaled(
    name: str, stored: Mapping[str, StoredTensor], blocks: Collection[Block]
) -> ScaledWeight:
    kind = SCALED_DTYPES[stored[name].dtype]
    scales = [f"{name}{ending}" for ending in _SCALE_ENDINGS if f"{name}{ending}" in stored]
    if len(scales) != 1 or stored[scales[0]].dtype not in _SCALE_DTYPES:
        found = ", ".join(f"{scale} ({stored[scale].dtype})" for scale in scales) or "none"
        raise UnsupportedModelError(
            f"{name} holds {kind} weights, which need one floating-point scale; found: {found}",
            USE_ANOTHER,
        )
    scale, zero_point = scales[0], f"{name}{_ZERO_ENDING}"
    if zero_point not in stored:
        zero_point = ""
    elif stored[zero_point].dtype not in _ZERO_DTYPES or _differ(stored, scale, zero_point):
        raise UnsupportedModelError(f"the zero points of {name} do not fit its scales", USE_ANOTHER)
    return ScaledWeight(name, scale, zero_point, _block(name, stored, scale, blocks))


def _differ(stored: Mapping[str, StoredTensor], scale: str, zero_point: str) -> bool:
    return stored[scale].shape != stored[zero_point].shape


def _block(
    name: str, stored: Mapping[str, StoredTensor], scale: str, blocks: Collection[Block]
) -> Block:
    """The block size that the scale's shape implies; stated sizes resolve ambiguity."""
    weight = stored[name].shape
    grid = _grid(weight, stored[scale].shape)
    if len(weight) >= 2 and grid is not None and 0 not in weight:
        rows, columns = weight[-2:]
        whole = [(rows, columns), (1, columns)]  # a scale per matrix, or per row
        for sizes in (whole, sorted(set(blocks))):
            fitting = [(a, b) for a, b in sizes if grid == (-(-rows // a), -(-columns // b))]
            if len(fitting) == 1 or (fitting and sizes is whole):
                return fitting[0]
    raise UnsupportedModelError(
        f"{name} {list(weight)} has scales of the shape {list(stored[scale].shape)}, "
        "which fits neither the matrix, nor its rows, nor the configuration's blocks",
        USE_ANOTHER,
    )


def _grid(weight: tuple[int, ...], scale: tuple[int, ...]) -> Block | None:
    """Number of blocks along the rows and columns of each matrix; None if unknown."""
    *stack, rows, _ = (0, 0, *weight)[-max(len(weight), 2) :]
    if math.prod(scale) == math.prod(stack):
        return 1, 1
    if not stack and scale == (rows,):
        return rows, 1
    if len(scale) == len(weight) and list(scale[:-2]) == stack:
        return scale[-2], scale[-1]
    if not stack and len(scale) == 4 and scale[1] == scale[3] == 1:  # block axes of size 1
        return scale[0], scale[2]
    return None


def unscaled(weight: Tensor, scale: Tensor, zero_point: Tensor | None, block: Block) -> Tensor:
    """The weight in bf16 [..., out, in], computed in float32 and rounded once.

    Raises DamagedFileError for a scale that is not finite.
    """
    if not scale.float().isfinite().all():
        raise DamagedFileError("a weight's scale is not finite", FETCH_AGAIN)
    found = torch.empty(weight.shape, dtype=torch.bfloat16)
    *_, rows, columns = weight.shape
    grid = (-1, -(-rows // block[0]), -(-columns // block[1]))
    scales = scale.float().reshape(grid)
    zeros = None if zero_point is None else zero_point.float().reshape(grid)
    matrices = found.view(-1, rows, columns)
    for at, matrix in enumerate(weight.reshape(-1, rows, columns)):
        for start, stop in _chunks(rows, columns):
            values = matrix[start:stop].float()
            where = torch.arange(start, stop) // block[0]
            if zeros is not None:
                values -= _spread(zeros[at][where], block[1], columns)
            values *= _spread(scales[at][where], block[1], columns)
            matrices[at, start:stop] = values
    return found


def _chunks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    step = max(1, _VALUES_AT_ONCE // columns)
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def _spread(values: Tensor, width: int, columns: int) -> Tensor:
    """Expand [n, blocks] to [n, columns], or to a shape that broadcasts to it."""
    if values.shape[1] == 1:
        return values
    return values.repeat_interleave(width, 1)[:, :columns]
