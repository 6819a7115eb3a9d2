"""Answers to choose among, the likeliest one and several that were drawn."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from forethought.contracts.search import Ask, Candidate, write
from forethought.methods.search._answers import cut


def hedged(
    start: Candidate, n: int, temperature: float | None
) -> Generator[Ask, Any, list[Candidate]]:
    """The answer at temperature 0, then n - 1 others, unless the budget ended before."""
    pool = yield from write([start], temperature=0.0)
    if n > 1 and not cut(pool):
        pool += yield from write([start] * (n - 1), temperature=temperature)
    return pool
