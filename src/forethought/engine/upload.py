"""Values of a step on their way from the host to a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def upload(values: Sequence[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The values as a tensor on a device; the host does not wait for a GPU.

    Only a copy from pinned memory lets the host go on.
    """
    if device.type == "cpu":
        return torch.tensor(values, dtype=dtype)
    pinned = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return pinned.to(device, non_blocking=True)
