"""The compiled kernels, where this machine can compile them."""

import pytest

from forethought.models.compiled.available import kernels
from forethought.models.compiled.kernels import Kernels


@pytest.fixture
def made() -> Kernels:
    """The kernels of this machine."""
    found = kernels()
    if found is None:
        pytest.skip("this machine has no compiler, or a processor without kernels")
    return found
