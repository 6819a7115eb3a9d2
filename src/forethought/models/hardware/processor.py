"""What this machine's processor is good at."""

from __future__ import annotations

import os
from functools import cache

import torch
from torch import Tensor


@cache
def multiplies_bf16() -> bool:
    """Whether the CPU has matrix products of bf16: without AVX-512 they are emulated, slowly."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_memory_for(size: int) -> bool:
    """Whether so many bytes may be held for speed alone: a third of what is free now."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not known on every system
        return False
    return size < free / 3


def widened(tensor: Tensor) -> Tensor:
    """The tensor as products are fastest with: in float32 where the CPU only emulates bf16.

    Products of bf16 are summed in float32 either way, so that rounding the result gives the
    same number.
    """
    slow = tensor.dtype == torch.bfloat16 and tensor.device.type == "cpu"
    return tensor.float() if slow and not multiplies_bf16() else tensor
