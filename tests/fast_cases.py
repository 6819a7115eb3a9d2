"""Which cases of a matrix of tests run always, and which in slow runs alone.

A tuple holds the values of several parameters; `pytest.param` makes it one value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

_PARAMETERS = type(pytest.param())


def fast_each(step: int, cases: Iterable[Any]) -> list[Any]:
    """The cases as parameters; the first, each `step`-th after it and the last are not slow."""
    found = list(cases)
    fast = {*range(0, len(found), step), len(found) - 1}
    return [case if place in fast else _slow(case) for place, case in enumerate(found)]


def fast_where(fast: Callable[[Any], bool], cases: Iterable[Any]) -> list[Any]:
    """The cases as parameters; those for which `fast` is false are slow."""
    return [case if fast(case) else _slow(case) for case in cases]


def _slow(case: Any) -> Any:
    if isinstance(case, _PARAMETERS):
        return case._replace(marks=(*case.marks, pytest.mark.slow))
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
