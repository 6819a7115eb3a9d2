"""The compiled kernels of this process."""

from __future__ import annotations

from functools import cache

from forethought.models.compiled.build import loaded
from forethought.models.compiled.check import agrees
from forethought.models.compiled.kernels import Kernels


@cache
def kernels() -> Kernels | None:
    """The decode kernels, compiled by the first call on this machine; None where there are none."""
    return loaded(Kernels, agrees)
