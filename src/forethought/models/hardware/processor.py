"""Features of this machine's processor."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache

import torch
import torch.nn.functional as F
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


def prefill_copy_bytes(weights: Iterable[Tensor]) -> int:
    """Bytes of the copies of bf16 weights that prefill multiplies with."""
    own = sum(weight.nbytes for weight in weights)
    return own if multiplies_bf16() else 2 * own


def blocked(weight: Tensor) -> Tensor | None:
    """A bf16 weight [out, in] in oneDNN's blocked layout; None where oneDNN does not multiply it.

    A plain product brings the weight into this layout at each call, which costs as much as the
    product of ten to thirty tokens. Both have equal bits, or there is no blocked weight.
    """
    native = weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and multiplies_bf16()
    return _blocked(weight) if native and _layouts_agree() else None


def blocked_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [N, in] times a weight of `blocked`: [N, out]."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


def _blocked(weight: Tensor) -> Tensor:
    made: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return made


@cache
def _layouts_agree() -> bool:
    """Whether products with blocked and with plain weights have equal bits on this machine."""
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(n, 416, generator=generator).bfloat16() for n in (224, 150))
    mine = _blocked(weight)
    counts = (1, 2, 17, 64, len(x))
    return all(
        torch.equal(blocked_product(x[:n], mine, None), F.linear(x[:n], weight)) for n in counts
    )
