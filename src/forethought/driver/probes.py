"""Requests that decode nothing: top next tokens, questions about candidates, and readings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forethought.contracts.backend import CostBound, Place, Request, RequestOutcome
from forethought.contracts.records import Cost
from forethought.contracts.search import (
    Adopt,
    Candidate,
    FollowUp,
    Next,
    Path,
    PromptProbes,
    Reread,
)
from forethought.driver.job import Job
from forethought.driver.requests import mark_first, request_key

ProbeAsk = Next | PromptProbes | FollowUp | Reread | Adopt


@dataclass
class ProbeRequests:
    """The requests of one ask, one per distinct text, and their outcomes."""

    job: Job
    ask: ProbeAsk
    requests: list[Request] = field(default_factory=list)
    _keys: list[str] = field(default_factory=list)
    """The request of each candidate; empty for a candidate without one."""
    _found: dict[str, RequestOutcome] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        job: Job,
        ask: ProbeAsk,
        prefixes: Collection[Place],
        children: Counter[tuple[str, Path]],
    ) -> ProbeRequests:
        """The requests of an ask; `prefixes` are those that the run has paid for.

        `children` counts the children of each candidate; an adopted step is one more.
        """
        wanted = _wanted(job, ask, children)
        namespace = job.key_namespace or job.run
        once: dict[Place, Request] = {}
        for one in mark_first((one for one in wanted if one is not None), prefixes):
            once.setdefault(one.place, replace(one, key=request_key(namespace, one, 0)))
        keys = ["" if one is None else once[one.place].key for one in wanted]
        return cls(job, ask, list(once.values()), keys)

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
            case Adopt():
                return "were continued"

    def record(self, outcome: RequestOutcome) -> None:
        """Store an outcome."""
        self._found[outcome.key] = outcome

    @property
    def adopted(self) -> set[Place]:
        """The places of the candidates that end with an adopted step."""
        return {(one.writer, *one.identity, one.tokens, one.dropped) for one in self.results()}

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
            case Adopt(parent):
                return [
                    _adopted(self.job, parent, one, self._found[one.key]) for one in self.requests
                ] or [parent]


def total_bound(bounds: Sequence[CostBound]) -> CostBound:
    """The upper bound of requests that decode nothing."""
    total = Cost()
    for bound in bounds:
        total = total.plus(bound.once)
    return CostBound(total)


def _wanted(job: Job, ask: ProbeAsk, children: Counter[tuple[str, Path]]) -> list[Request | None]:
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
        case FollowUp(candidates):
            return [_follow_up(job, ask, one) for one in candidates]
        case Reread():
            start = Candidate(asked=job.question.asked)
            return [replace(_request(job, start), reread=ask)]
        case Adopt():
            return [_adoption(job, ask, children)]


def _follow_up(job: Job, ask: FollowUp, one: Candidate) -> Request:
    return replace(
        _request(job, one),
        turn=ask.question,
        choices=ask.choices,
        reply=ask.reply,
        rule=ask.rule,
    )


def _adoption(job: Job, ask: Adopt, children: Counter[tuple[str, Path]]) -> Request | None:
    """The request for an adopted step, which is one more child of its parent."""
    parent = ask.parent
    if parent.done:
        return None
    child = children[parent.identity]
    children[parent.identity] += 1
    return replace(_request(job, parent), path=(*parent.path, child), adopted=ask.step)


def _adopted(job: Job, parent: Candidate, request: Request, outcome: RequestOutcome) -> Candidate:
    """The candidate that ends with an adopted step; it may have reached the maximum length."""
    assert outcome.piece is not None, "an adoption makes a piece"
    found = parent.grown(request.path[-1], outcome.piece)
    full = not found.done and found.tokens >= job.max_tokens
    return replace(found, finish="length") if full else found


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
