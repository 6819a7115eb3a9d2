"""Requests for the top next tokens of each candidate, one per distinct text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from forethought.contracts.backend import CostBound, Place, Request, RequestOutcome
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Next, NextToken
from forethought.driver.job import Job
from forethought.driver.requests import mark_first, request_key


@dataclass
class NextTokenRequests:
    """The requests of one ask, and their outcomes."""

    requests: list[Request] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    """The request of each candidate; empty for a finished one."""
    _found: dict[str, tuple[NextToken, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, ask: Next, prefixes: Collection[Place]) -> NextTokenRequests:
        """The requests of an ask; `prefixes` are those that the run has paid for."""
        wanted = [_request(job, one, ask.top) for one in ask.candidates if not one.done]
        namespace = job.key_namespace or job.run
        once: dict[Place, Request] = {}
        for one in mark_first(wanted, prefixes):
            once.setdefault(one.place, replace(one, key=request_key(namespace, one, 0)))
        places = iter([one.place for one in wanted])
        keys = ["" if one.done else once[next(places)].key for one in ask.candidates]
        return cls(list(once.values()), keys)

    def record(self, outcome: RequestOutcome) -> None:
        """Store an outcome."""
        self._found[outcome.key] = outcome.following

    def results(self) -> list[tuple[NextToken, ...]]:
        """The top next tokens of each candidate, in the order of the ask."""
        return [self._found[key] if key else () for key in self._keys]


def total_bound(bounds: Sequence[CostBound]) -> CostBound:
    """The upper bound of requests that decode nothing."""
    total = Cost()
    for bound in bounds:
        total = total.plus(bound.once)
    return CostBound(total)


def _request(job: Job, parent: Candidate, top: int) -> Request:
    return Request(
        key="",
        run=job.run,
        question=job.question,
        parent=parent,
        path=parent.path,
        seed=job.seed,
        stream=0,
        until="end",
        delimiter="",
        temperature=None,
        max_tokens=0,
        top=top,
    )
