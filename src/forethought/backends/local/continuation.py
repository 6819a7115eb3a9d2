"""Work behind a candidate of a run, by the kind of its request."""

from __future__ import annotations

from forethought.backends.local.adoption import AdoptionInProgress, adoption_bound
from forethought.backends.local.follow_up import FollowUpInProgress, follow_up_bound
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.piece import PieceInProgress
from forethought.backends.local.reading import ReadingInProgress, reading_bound
from forethought.backends.local.workers import WorkersInProgress
from forethought.contracts.backend import CostBound, Request
from forethought.contracts.records import Cost
from forethought.prefill.prepare import PreparedPrompt

Continuation = (
    PieceInProgress
    | FollowUpInProgress
    | ReadingInProgress
    | AdoptionInProgress
    | WorkersInProgress
)


def continuation(request: Request, run: LocalRun, prompt: PreparedPrompt) -> Continuation:
    """The work of a request."""
    if request.reread is not None:
        return ReadingInProgress(request, run, prompt)
    if request.adopted is not None:
        return AdoptionInProgress(request, run, prompt)
    if request.plan is not None:
        return WorkersInProgress(request, run, prompt)
    made = FollowUpInProgress if request.turn else PieceInProgress
    return made(request, run, prompt)


def prefill_only_bound(request: Request, run: LocalRun, prompt: PreparedPrompt) -> CostBound | None:
    """An upper bound on a request that decodes nothing; None for one that does."""
    if request.turn:
        return CostBound(Cost(flops=follow_up_bound(request, prompt)))
    if request.reread is not None:
        return CostBound(reading_bound(request.reread, prompt))
    if request.adopted is not None:
        opens = request.first and not request.parent.tokens
        first = prompt.flops_at_most() if opens else 0.0
        return CostBound(Cost(flops=first + adoption_bound(request, run, prompt)))
    return None
