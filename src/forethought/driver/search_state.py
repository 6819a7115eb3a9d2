"""One search in progress: its asks become requests, and their outcomes become results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from forethought.backends.verdict_prefixes import VerdictPrefixes
from forethought.contracts.backend import (
    Backend,
    CostBound,
    Opened,
    Place,
    PromptReady,
    Request,
    RequestOutcome,
    TokenDelta,
    VerdictRequest,
)
from forethought.contracts.errors import (
    BudgetSpentError,
    ForethoughtError,
    NoDocumentError,
    UnfitError,
)
from forethought.contracts.search import (
    Adopt,
    Ask,
    Candidate,
    Charge,
    FollowUp,
    Found,
    Group,
    Next,
    Path,
    PromptProbes,
    Quote,
    Reread,
    Score,
    Scores,
    State,
    Tell,
    Verdict,
    Write,
)
from forethought.cost.leases import Leases
from forethought.driver.estimates import with_estimates
from forethought.driver.job import (
    Cut,
    GrownCandidates,
    Job,
    JobResult,
    Streamed,
    checked_score,
    merged,
)
from forethought.driver.partial_results import best_so_far, budget_spent, first_of
from forethought.driver.price_desk import PriceDesk, SearchEvent
from forethought.driver.probes import ProbeRequests, total_bound
from forethought.driver.requests import (
    PendingCandidate,
    mark_first,
    pending_children,
    piece_request,
    request_key,
    verdict_request,
)

_SEARCH = 1  # separates the strategy's random numbers from those of the tokens


class SearchState:
    """A job in progress."""

    def __init__(
        self,
        job: Job,
        backend: Backend,
        submit: Callable[[Request | VerdictRequest], None],
        report: Callable[[SearchEvent], None],
    ) -> None:
        self.job = job
        self.done: JobResult | None = None
        self.leases = Leases(job.limit)
        seconds = job.limit.seconds
        self.deadline = None if seconds is None else backend.now() + seconds
        self._backend, self._submit, self._report = backend, submit, report
        self._open: dict[str, PendingCandidate | None] = {}
        rng = np.random.default_rng([job.seed, _SEARCH])
        search = job.strategy.search(Candidate(asked=job.question.asked), rng)
        self._search = with_estimates(job, search, self.leases)
        self._scoring: Scores | None = None
        self._to_score: Sequence[Candidate] = ()
        self._wanted_scores: Sequence[Candidate] = ()
        self._ask: Ask | None = None
        self._pending: list[PendingCandidate] = []
        self._verdicts: tuple[tuple[float, ...], ...] = ()
        self._verdict_prefixes = VerdictPrefixes()
        self._probes: ProbeRequests | None = None
        self._children: Counter[tuple[str, Path]] = Counter()
        self._prefixes: set[Place] = set()
        """Prefixes that the run has requests for; each is paid once."""
        self._scores: dict[tuple[str, Path], float] = {}
        self._candidates: list[Candidate] = []
        self._opened: Opened | None = None
        self._cut: Cut = ""
        self._error: BaseException | None = None
        self._unfit: UnfitError | None = None
        """Set if the latest ask does not fit a context or a method's budget."""
        self._overflow = ""
        """The message of the first text that did not fit."""

    def proceed(self, value: Any = None) -> list[str]:
        """Continue the search with the result of its last ask; returns the keys of new requests."""
        started: list[str] = []
        try:
            while self.done is None and not started:
                value, started = self._advance(value)
        except BudgetSpentError as error:
            # The budget ended between two asks, so the best candidate so far is the answer.
            found = best_so_far(self._candidates, self._scores, (error.message,))
            self._end_with(found, self._cut_reason, error)
        except ForethoughtError as error:
            self._fail(error)
        return started

    def receive(self, outcome: RequestOutcome) -> list[str]:
        """Record an outcome and continue after the last one; returns the keys of new requests."""
        self.record(outcome)
        if error := self._error or self._fatal(outcome.error):
            self._fail(error)
            return []
        self._verdicts = outcome.chances
        if self._probes is not None:
            self._probes.record(outcome)
        if self._open:
            return []
        return self._submit_pieces() or self.proceed(self._results())

    def record(self, outcome: RequestOutcome) -> None:
        """Record the piece and the cost of an outcome, and start no request."""
        pending = self._open.pop(outcome.key)
        piece = outcome.piece
        drafted = piece.tokens if pending and piece and pending.parent.writer == "draft" else 0
        self.leases.settle(outcome.key, outcome.cost, drafted, outcome.seconds)
        self.leases.lost = self.leases.lost.plus(outcome.lost)
        self._opened = merged(self._opened, outcome.opened)
        if pending is not None and outcome.error is not None:
            pending.over = "budget"
        if pending is not None and piece is not None:
            pending.pieces.append(piece)
            pending.over = pending.ended(piece, self.job.max_tokens)
            if piece.finish == "full" and pending.over == "budget":
                self._overflow = self._overflow or "a text reached the end of the model's context"

    def streamed(self, event: TokenDelta | PromptReady) -> Streamed:
        """The event of one of the answers in progress."""
        pending = self._open[event.key]
        return Streamed(self.job.run, pending.child if pending is not None else 0, event)

    def check_time(self) -> None:
        """Cancel pieces after the deadline or an overcharge; partial verdicts are useless."""
        ended = self._late() or self.leases.surprised
        for key in [key for key, pending in self._open.items() if ended and pending is not None]:
            self._backend.cancel(key)

    def _advance(self, value: Any) -> tuple[Any, list[str]]:
        """Serve the next ask: the scorer's while it scores, else the strategy's.

        If the budget or the context does not cover an ask, the strategy gets an error and may still
        answer with what it has.
        """
        try:
            ask = self._next_ask(value)
            while True:
                try:
                    return self._serve(ask)
                except (BudgetSpentError, UnfitError) as error:
                    ask = self._refused(error)
        except StopIteration as stopped:
            return self._returned(stopped.value), []

    def _next_ask(self, value: Any) -> Ask:
        """The next ask: the scorer's while it scores, else the strategy's."""
        unfit, self._unfit = self._unfit, None
        if unfit is not None:
            return self._refused(unfit)
        try:
            return (self._scoring or self._search).send(value)
        except UnfitError as error:
            if self._scoring is None:
                raise
            return self._refused(error)

    def _refused(self, error: BudgetSpentError | UnfitError) -> Ask:
        """The strategy's next ask after a BudgetSpentError."""
        if fatal := self._fatal(error):
            raise fatal
        self._scoring, self._unfit, self._cut = None, None, self._cut_reason
        return self._search.throw(BudgetSpentError(error.message, error.hint))

    def _fatal(self, error: Exception | None) -> Exception | None:
        """The error if it ends the job; None if the search may end with its best candidate."""
        if error is None or isinstance(error, BudgetSpentError):
            return None
        if not isinstance(error, UnfitError) or isinstance(error, NoDocumentError):
            return error
        if not best_so_far(self._candidates, self._scores, ()):
            return error
        self._unfit, self._overflow = error, self._overflow or error.message
        return None

    @property
    def _cut_reason(self) -> Cut:
        """The reason that an early end has."""
        return "context" if self._overflow else "budget"

    def _returned(self, value: Any) -> Any:
        """Handle a returned generator: the strategy's ends the job, a scorer's continues it."""
        if self._scoring is None:
            self._finish(value)
            return None
        self._scoring = None
        for candidate, number in zip(self._to_score, value, strict=True):
            self._scores[candidate.identity] = checked_score(number)
        return [self._scores[one.identity] for one in self._wanted_scores]

    def _serve(self, ask: Ask) -> tuple[Any, list[str]]:
        """The immediate result of an ask, or the keys of its requests."""
        match ask:
            case Write():
                self._ask = ask
                self._pending = pending_children(ask, self._children, self.job.max_tokens)
                started = self._submit_pieces()
                return (None, started) if started else (self._results(), [])
            case FollowUp() if "follow-ups" not in self._backend.abilities:
                return self._serve(ask.repeated())
            case Next() | PromptProbes() | FollowUp() | Reread() | Adopt():
                self._ask, self._pending = ask, []
                paid, numbers = self._prefixes, self._children
                started = self._request_probes(ProbeRequests.of(self.job, ask, paid, numbers))
                return (None, started) if started else (self._results(), [])
            case Verdict():
                self._ask, self._pending = ask, []
                return None, self._request_verdicts(ask)
            case Score():
                self._start_scoring(ask.candidates)
                return None, []
            case Group():
                return self.job.reader.group(ask.candidates), []
            case State():
                return self.job.reader.state(ask.candidates), []
            case Charge():
                self._check_covered(CostBound(ask.cost))
                self.leases.settle("", ask.cost)
                return None, []
            case Quote() | Tell():
                prices = PriceDesk(self.job, self._backend, self._prefixes, self._report)
                return prices.served(ask, self.leases.spent), []

    def _start_scoring(self, candidates: Sequence[Candidate]) -> None:
        """Give the scorer the candidates without a score."""
        assert self.job.scorer is not None, "checked before the first request"
        self._wanted_scores = candidates
        fresh = {one.identity: one for one in candidates if one.identity not in self._scores}
        self._to_score = list(fresh.values())
        self._scoring = self.job.scorer.score(self.job.question, self._to_score)

    def _submit_pieces(self) -> list[str]:
        """Request a piece of every unfinished candidate within the budget; returns the keys."""
        waiting = [pending for pending in self._pending if not pending.over]
        requests = mark_first((piece_request(self.job, one) for one in waiting), self._prefixes)
        bounds = self._backend.bounds(requests)
        wanted = [0 if self._late() else pending.left for pending in waiting]
        granted = self.leases.shares(bounds, wanted)
        capped = self.leases.capped(bounds, granted) if waiting and wanted[0] else None
        if capped is not None:
            bounds[0], granted[0] = capped, 1
        started = []
        for pending, request, bound, tokens in zip(waiting, requests, bounds, granted, strict=True):
            if request.first and tokens:
                self._prefixes.add(request.place)
            # A prefix whose prefill nobody could pay for cannot be continued.
            if not tokens or request.place not in self._prefixes:
                pending.over = "budget"
                continue
            pending.leased = tokens
            key = request_key(self.job.key_namespace or self.job.run, request, tokens)
            leased = replace(request, max_tokens=tokens, key=key)
            self.leases.lease(leased.key, bound, tokens)
            self._open[leased.key] = pending
            started.append(leased)
            if self.leases.careful or bound is capped:
                break
        spare, left = self.leases.spare(len(started)), self.leases.left().get("flops")
        if started and left is not None and bounds[0].least is not None:
            # The prefill may take all that is not leased, since its bound may be too low.
            started[0] = replace(started[0], prefill_flops=left + bounds[0].once.flops)
        for request in started:
            self._submit(replace(request, spare=spare))
        return [request.key for request in started]

    def _request_probes(self, probes: ProbeRequests) -> list[str]:
        """Start requests behind candidates that decode nothing."""
        self._probes = probes
        started = self._submit_all(probes.requests, probes.before)
        self._prefixes |= {one.place for one in probes.requests}
        return started

    def _request_verdicts(self, ask: Verdict) -> list[str]:
        """Request the verdicts of an ask."""
        request, prefixes = verdict_request(self.job, ask, self._verdict_prefixes)
        started = self._submit_all([request], "were judged")
        self._verdict_prefixes = prefixes
        return started

    def _submit_all(self, requests: Sequence[Request | VerdictRequest], before: str) -> list[str]:
        """Start requests that decode nothing, if the budget covers all; returns their keys."""
        bounds = self._backend.bounds(requests)
        self._check_covered(total_bound(bounds), before)
        for request, bound in zip(requests, bounds, strict=True):
            self.leases.lease(request.key, bound, 0)
            self._open[request.key] = None
        for request in requests:
            self._submit(request)
        return [request.key for request in requests]

    def _check_covered(self, bound: CostBound, before: str = "were judged") -> None:
        if self._late() or not self.leases.covers(bound):
            raise budget_spent(before)

    def _late(self) -> bool:
        return self.deadline is not None and self._backend.now() >= self.deadline

    def _results(self) -> Any:
        """The result of the last ask."""
        if self._unfit is not None and not isinstance(self._ask, Write):
            return None
        match self._ask:
            case Verdict():
                return list(self._verdicts)
            case Next() | PromptProbes() | FollowUp() | Reread() if self._probes is not None:
                return self._probes.results()
            case Adopt() if self._probes is not None:
                # The newest token of an adopted step has its entry.
                self._prefixes |= self._probes.adopted
                return self._grown(self._probes.results())
        self._unfit = None  # the other candidates have their pieces
        found = [pending.result() for pending in self._pending]
        if any(pending.over == "budget" for pending in self._pending):
            self._cut = self._cut_reason
        return self._grown(found)

    def _grown(self, found: list[Candidate]) -> list[Candidate]:
        """Record and report candidates that grew."""
        self._candidates += found
        self._report(GrownCandidates(self.job.run, found))
        return found

    def interrupt(self) -> None:
        """End the search with the outcomes so far."""
        self._open.clear()
        written = [
            *self._candidates,
            *(pending.interrupted() for pending in self._pending if pending.pieces),
        ]
        found = first_of(written) if self.job.plain else best_so_far(written, self._scores, ())
        self._end_with(found, "interrupted", KeyboardInterrupt())

    def _end_with(self, found: Found | None, cut: Cut, otherwise: BaseException) -> None:
        if found is None:
            return self._fail(otherwise)
        self._cut = cut
        return self._finish(found)

    def _finish(self, found: Found) -> None:
        self.done = JobResult(
            self.job,
            self.leases.spent,
            found,
            written=sum(self._children.values()),
            opened=self._opened,
            cut=self._cut,
            overflow=self._overflow,
            scores=self._scores,
            seconds=self.leases.seconds,
            lost=self.leases.lost,
            beyond=self.leases.beyond,
        )

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        for key in self._open:
            self._backend.cancel(key)
        if not self._open:  # all requests have returned, and are paid
            self.done = JobResult(self.job, self.leases.spent, error=self._error)
