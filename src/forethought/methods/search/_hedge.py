"""A pool of answers: the greedy one and several samples."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from forethought.contracts.search import Ask, Candidate, write
from forethought.methods.search._answers import budget_spent


def hedged(
    start: Candidate, n: int, temperature: float | None
) -> Generator[Ask, Any, list[Candidate]]:
    """The greedy answer, then n - 1 samples unless the budget is spent."""
    pool = yield from write([start], temperature=0.0)
    if n > 1 and not budget_spent(pool):
        pool += yield from write([start] * (n - 1), temperature=temperature)
    return pool
