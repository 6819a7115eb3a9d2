"""Values of a step on their way from the host to a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def staged(values: Sequence[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The values on the host, ready to be copied to a device: only pinned memory lets it go on."""
    return torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")


def upload(values: Sequence[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The values as a tensor on a device; the host does not wait for a GPU."""
    return staged(values, dtype, device).to(device, non_blocking=True)
