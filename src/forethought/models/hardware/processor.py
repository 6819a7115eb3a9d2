"""Features of this machine's processor."""

from __future__ import annotations

import os
from functools import cache

import torch
from torch import Tensor


@cache
def multiplies_bf16() -> bool:
    """Whether the CPU has native bf16 products; without AVX-512, slow emulation replaces them."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_memory_for(size: int) -> bool:
    """Whether a cache of so many bytes fits: at most a third of the free memory."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not available on every system
        return False
    return size < free / 3


def widened(tensor: Tensor) -> Tensor:
    """The tensor in the faster dtype: float32 if the CPU only emulates bf16.

    bf16 products accumulate in float32 either way, so the rounded results are equal.
    """
    slow = tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"
    return tensor.float() if slow and not multiplies_bf16() else tensor
