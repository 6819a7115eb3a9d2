"""The fingerprint of a network's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

_VALUES = 64
"""Values of each tensor that are hashed: reading whole files would take longer than a start."""


def weights_fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and the first values of all tensors, in float32.

    Models that were trained further differ in nearly every value. The float32 makes equal weights
    of different dtypes equal.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().reshape(-1)[:_VALUES].to(torch.float32).cpu()
        digest.update(values.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
