"""The head of a reward model: linear maps in float32."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

Maps = tuple[tuple[Tensor, Tensor | None], ...]
"""Weights [out, in] and biases [out]."""


@dataclass(frozen=True)
class Head:
    """One or two linear maps in float32, with a ReLU between them."""

    maps: Maps

    @property
    def inputs(self) -> int:
        """Input size."""
        return self.maps[0][0].shape[1]

    @property
    def labels(self) -> int:
        """Output size."""
        return self.maps[-1][0].shape[0]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight, _ in self.maps)

    def bytes(self, phase: str) -> int:
        """Bytes of weights read per call."""
        return sum(weight.nbytes for weight, _ in self.maps)

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        """x [N, in] to [N, labels], float32."""
        x = F.linear(x.float(), *self.maps[0])
        for weight, bias in self.maps[1:]:
            x = F.linear(F.relu(x), weight, bias)
        return x


def fit_together(maps: Maps) -> bool:
    """Whether consecutive maps and their biases have matching sizes."""
    if any(weight.ndim != 2 for weight, _ in maps):
        return False
    biased = all(bias is None or bias.shape == weight.shape[:1] for weight, bias in maps)
    return biased and all(a[0].shape[0] == b[0].shape[1] for a, b in pairwise(maps))
