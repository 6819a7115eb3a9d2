"""RMS norms, in the rounding order of the models' training code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Norm:
    """x / rms(x) * weight over the last axis, computed in float32 or wider.

    Uses few operations: for one token of a small model, kernel calls cost more than arithmetic, and
    torch's rms_norm is several times slower on many rows of bf16.
    """

    def __init__(
        self, weight: Tensor, epsilon: float, *, offset: float = 0.0, late_rounding: bool = False
    ) -> None:
        """`late_rounding` multiplies by the weight before rounding back, not after."""
        self.dtype = weight.dtype
        self.wide = torch.promote_types(weight.dtype, torch.float32)
        self.late = late_rounding or self.wide == self.dtype
        scale = weight.to(self.wide) + offset if offset else weight
        self.weight = scale.to(self.wide if self.late else self.dtype)
        self.added = epsilon
        self.epsilon = torch.full((1,), epsilon, dtype=self.wide, device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        """[..., size] to a new tensor of the same shape."""
        # float() and type_as() are faster calls than to(); float64 needs no widening.
        wide = x if self.wide == self.dtype else x.float()
        root = torch.linalg.vector_norm(wide, 2, -1, True)
        factor = torch.addcmul(self.epsilon, root, root, value=1 / x.shape[-1]).rsqrt_()
        if self.wide == self.dtype:
            return wide.mul(factor).mul_(self.weight)
        scaled = wide.mul_(factor)
        if self.late:
            return scaled.mul_(self.weight).type_as(x)
        return scaled.type_as(x).mul_(self.weight)


class FusedNorm(Norm):
    """The same in two kernel calls, for GPUs: there calls cost the most."""

    def __call__(self, x: Tensor) -> Tensor:
        """[..., size] to a new tensor of the same shape."""
        wide = x.type(self.wide) if self.late else x
        scaled = F.rms_norm(wide, x.shape[-1:], None, self.added)
        return scaled.mul_(self.weight).type_as(x)
