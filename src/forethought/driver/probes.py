"""Requests that decode nothing: top next tokens, questions about candidates, and readings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forethought.contracts.backend import CostBound, Place, Request, RequestOutcome
from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, FollowUp, Next, PromptProbes, Reread
from forethought.driver.job import Job
from forethought.driver.requests import mark_first, request_key

ProbeAsk = Next | PromptProbes | FollowUp | Reread


@dataclass
class ProbeRequests:
    """The requests of one ask, one per distinct text, and their outcomes."""

    ask: ProbeAsk
    requests: list[Request] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    """The request of each candidate; empty for a candidate without one."""
    _found: dict[str, RequestOutcome] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, ask: ProbeAsk, prefixes: Collection[Place]) -> ProbeRequests:
        """The requests of an ask; `prefixes` are those that the run has paid for."""
        wanted = _wanted(job, ask)
        namespace = job.key_namespace or job.run
        once: dict[Place, Request] = {}
        for one in mark_first((one for one in wanted if one is not None), prefixes):
            once.setdefault(one.place, replace(one, key=request_key(namespace, one, 0)))
        keys = ["" if one is None else once[one.place].key for one in wanted]
        return cls(ask, list(once.values()), keys)

    @property
    def before(self) -> str:
        """What the candidates lack if the budget does not cover the requests."""
        match self.ask:
            case Next():
                return "could go on"
            case PromptProbes():
                return "were probed"
            case FollowUp():
                return "were judged"
            case Reread():
                return "were read"

    def record(self, outcome: RequestOutcome) -> None:
        """Store an outcome."""
        self._found[outcome.key] = outcome

    def results(self) -> list[Any]:
        """The result of the ask, in its order."""
        match self.ask:
            case Next():
                return [self._found[key].following if key else () for key in self._keys]
            case PromptProbes():
                return [self._found[key].probed if key else () for key in self._keys]
            case FollowUp():
                return [self._found[key].chances[0] for key in self._keys]
            case Reread():
                return list(self._found[self._keys[0]].readings)


def total_bound(bounds: Sequence[CostBound]) -> CostBound:
    """The upper bound of requests that decode nothing."""
    total = Cost()
    for bound in bounds:
        total = total.plus(bound.once)
    return CostBound(total)


def _wanted(job: Job, ask: ProbeAsk) -> list[Request | None]:
    """A request for each candidate that needs one; readings begin behind the prompt."""
    match ask:
        case Next(candidates, top):
            return [
                None if one.done else replace(_request(job, one), top=top) for one in candidates
            ]
        case PromptProbes(candidates):
            return [
                None if one.tokens else replace(_request(job, one), top=1) for one in candidates
            ]
        case FollowUp(candidates, question, choices):
            return [
                replace(_request(job, one), turn=question, choices=choices) for one in candidates
            ]
        case Reread():
            start = Candidate(asked=job.question.asked)
            return [replace(_request(job, start), reread=ask)]


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
