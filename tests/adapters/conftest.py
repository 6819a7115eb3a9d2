"""What tests of other packages leave behind is collected before the next test begins."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Unclosed sockets and event loops warn here, where warnings are no errors."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()
