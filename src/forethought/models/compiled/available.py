"""The compiled kernels of this process."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.models.compiled.build import loaded
from forethought.models.compiled.check import agrees
from forethought.models.compiled.kernels import MOST_SIZE, Kernels


@cache
def kernels() -> Kernels | None:
    """The decode kernels, compiled by the first call on this machine; None where there are none."""
    return loaded(Kernels, agrees)


def kernels_for(queries: Tensor, values: Tensor, shape: LayerShape) -> Kernels | None:
    """The kernels, if they can attend in a layer of this shape with new tokens like these."""
    if queries.dtype != torch.bfloat16 or queries.device.type != "cpu":
        return None
    if shape.window is not None or shape.softcap is not None:
        return None
    made = kernels()
    size = values.shape[-1]
    same = queries.shape[-1] == size and values.dtype == queries.dtype
    fits = made is not None and same and size <= MOST_SIZE and not size % (2 * made.lanes)
    return made if fits else None
