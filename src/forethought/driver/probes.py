"""Requests behind candidates that decode nothing: top next tokens, and questions about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from forethought.contracts.backend import CostBound, Place, Request, RequestOutcome
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, FollowUp, Next, NextToken
from forethought.driver.job import Job
from forethought.driver.requests import mark_first, request_key


@dataclass
class ProbeRequests:
    """The requests of one ask, one per distinct text, and their outcomes."""

    requests: list[Request] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    """The request of each candidate; empty for a candidate without one."""
    _found: dict[str, RequestOutcome] = field(default_factory=dict)

    @classmethod
    def of_next(cls, job: Job, ask: Next, prefixes: Collection[Place]) -> ProbeRequests:
        """The requests of an ask; `prefixes` are those that the run has paid for."""
        wanted = [
            None if one.done else replace(_request(job, one), top=ask.top) for one in ask.candidates
        ]
        return cls._of(job, wanted, prefixes)

    @classmethod
    def of_follow_up(cls, job: Job, ask: FollowUp, prefixes: Collection[Place]) -> ProbeRequests:
        """The requests of an ask; `prefixes` are those that the run has paid for."""
        wanted: list[Request | None] = [
            replace(_request(job, one), turn=ask.question, choices=ask.choices)
            for one in ask.candidates
        ]
        return cls._of(job, wanted, prefixes)

    @classmethod
    def _of(
        cls, job: Job, wanted: Sequence[Request | None], prefixes: Collection[Place]
    ) -> ProbeRequests:
        namespace = job.key_namespace or job.run
        once: dict[Place, Request] = {}
        for one in mark_first((one for one in wanted if one is not None), prefixes):
            once.setdefault(one.place, replace(one, key=request_key(namespace, one, 0)))
        keys = ["" if one is None else once[one.place].key for one in wanted]
        return cls(list(once.values()), keys)

    def record(self, outcome: RequestOutcome) -> None:
        """Store an outcome."""
        self._found[outcome.key] = outcome

    def next_tokens(self) -> list[tuple[NextToken, ...]]:
        """The top next tokens of each candidate, in the order of the ask."""
        return [self._found[key].following if key else () for key in self._keys]

    def chances(self) -> list[tuple[float, ...]]:
        """The probabilities of the choices for each candidate, in the order of the ask."""
        return [self._found[key].chances[0] for key in self._keys]


def total_bound(bounds: Sequence[CostBound]) -> CostBound:
    """The upper bound of requests that decode nothing."""
    total = Cost()
    for bound in bounds:
        total = total.plus(bound.once)
    return CostBound(total)


def _request(job: Job, parent: Candidate) -> Request:
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
    )
