"""Reuse of answers that were sampled before a strategy was chosen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.search import Ask, Candidate, Found, Search, Write


def reusing(search: Search, start: Candidate, drawn: Sequence[Candidate]) -> Search:
    """The search, with its first plain samples taken from the answers already drawn."""
    pool = list(drawn)
    try:
        ask = next(search)
        while True:
            try:
                ask = search.send((yield from _served(ask, start, pool)))
            except BudgetSpentError as error:
                ask = search.throw(error)
    except StopIteration as stopped:
        found: Found = stopped.value
        return found


def _served(ask: Ask, start: Candidate, pool: list[Candidate]) -> Generator[Ask, Any, Any]:
    """The reply to an ask; requests for plain samples take answers of the pool first."""
    if not isinstance(ask, Write) or ask != Write(ask.parents) or set(ask.parents) != {start}:
        return (yield ask)
    few = min(len(pool), len(ask.parents))
    known, pool[:few] = pool[:few], []
    rest = ask.parents[few:]
    return [*known, *((yield replace(ask, parents=rest)) if rest else ())]
