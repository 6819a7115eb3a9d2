"""Estimates of how sure an answer is, after its search and within its budget."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.search import (
    Ask,
    Candidate,
    ConfidenceEstimate,
    Found,
    Scorer,
    Search,
)
from forethought.cost.leases import Leases
from forethought.driver.job import Job, checked_score

_SILENT = "the method says nothing about this answer"


def with_estimates(job: Job, search: Search, leases: Leases) -> Search:
    """The search, followed by the estimates of the job's confidence methods.

    `leases` hold the cost of the run so far, which each estimate is charged to.
    """
    found = yield from search
    answers = _answers(found)
    estimates: list[ConfidenceEstimate] = []
    for name, method in job.confidence.items():
        estimates.append((yield from _estimate(job, found.best, answers, name, method, leases)))
    return replace(found, estimates=tuple(estimates))


def _estimate(
    job: Job,
    best: Candidate,
    answers: Sequence[Candidate],
    name: str,
    method: Scorer,
    leases: Leases,
) -> Generator[Ask, Any, ConfidenceEstimate]:
    before, note = leases.spent, ""
    try:
        value = yield from method.confidence(job.question, best, answers)
    except BudgetSpentError as error:
        value, note = None, error.message
    checked = None if value is None else checked_score(value)
    silent = _SILENT if value is None else ""
    return ConfidenceEstimate(name, checked, leases.spent.since(before), note or silent)


def _answers(found: Found) -> list[Candidate]:
    """All whole answers to the run's question, in order of creation; the best one among them."""
    whole = [one for one in found.considered if one.whole and one.asked]
    return whole if found.best in whole else [found.best, *whole]
