"""One search on its way: its asks become requests within its budget, their outcomes answers."""

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
    Ask,
    Candidate,
    Charge,
    Found,
    Group,
    Next,
    Path,
    Score,
    Scores,
    Verdict,
    Write,
)
from forethought.cost.leases import Leases
from forethought.driver.job import (
    Cut,
    GrownCandidates,
    Job,
    JobResult,
    Streamed,
    as_score,
    fuller,
)
from forethought.driver.next_tokens import NextTokenRequests, together
from forethought.driver.partial_results import best_so_far, first_of, nothing_left
from forethought.driver.requests import (
    PendingCandidate,
    first_behind,
    judgement_of,
    piece_request,
    placed,
    request_key,
)

_SEARCH = 1  # tells a strategy's own chance from that of the tokens


class SearchState:
    """A job on its way."""

    def __init__(
        self,
        job: Job,
        backend: Backend,
        submit: Callable[[Request | VerdictRequest], None],
        tell: Callable[[GrownCandidates], None],
    ) -> None:
        self.job = job
        self.done: JobResult | None = None
        self.ledger = Leases(job.limit)
        seconds = job.limit.seconds
        self.deadline = None if seconds is None else backend.now() + seconds
        self._backend, self._submit, self._tell = backend, submit, tell
        self._open: dict[str, PendingCandidate | None] = {}
        rng = np.random.default_rng([job.seed, _SEARCH])
        self._search = job.strategy.search(Candidate(asked=job.question.asked), rng)
        self._scoring: Scores | None = None
        self._to_score: Sequence[Candidate] = ()
        self._wanted_scores: Sequence[Candidate] = ()
        self._asked: Ask | None = None
        self._slots: list[PendingCandidate] = []
        self._chances: tuple[tuple[float, ...], ...] = ()
        self._read = VerdictPrefixes()
        self._looks: NextTokenRequests | None = None
        self._children: Counter[tuple[str, Path]] = Counter()
        self._behind: set[Place] = set()
        """Texts that pieces were asked for behind."""
        self._scores: dict[tuple[str, Path], float] = {}
        self._seen: list[Candidate] = []
        self._opened: Opened | None = None
        self._cut: Cut = ""
        self._error: BaseException | None = None
        self._unfit: UnfitError | None = None
        """Why something that was asked for now cannot be had."""
        self._short = ""
        """What did not fit the model's context or a method's budget."""

    def proceed(self, value: Any = None) -> list[str]:
        """Go on with what was asked for; the keys of the requests that this begins."""
        begun: list[str] = []
        try:
            while self.done is None and not begun:
                value, begun = self._advance(value)
        except BudgetSpentError as error:
            # Between two asks there is nothing but the best so far.
            found = best_so_far(self._seen, self._scores, (error.message,))
            self._end_with(found, self._spent, error)
        except ForethoughtError as error:
            self._fail(error)
        return begun

    def receive(self, outcome: RequestOutcome) -> list[str]:
        """Take in an outcome; the keys of the requests that this begins."""
        self.hear(outcome)
        if error := self._error or self._fatal(outcome.error):
            self._fail(error)
            return []
        self._chances = outcome.chances
        if self._looks is not None:
            self._looks.hear(outcome)
        if self._open:
            return []
        return self._begin() or self.proceed(self._sent_back())

    def hear(self, outcome: RequestOutcome) -> None:
        """Take in what a request has written and taken, and begin nothing."""
        slot = self._open.pop(outcome.key)
        piece = outcome.piece
        drafted = piece.tokens if slot and piece and slot.parent.writer == "draft" else 0
        self.ledger.settle(outcome.key, outcome.cost, drafted, outcome.seconds)
        self.ledger.lost = self.ledger.lost.plus(outcome.lost)
        self._opened = fuller(self._opened, outcome.opened)
        if slot is not None and outcome.error is not None:
            slot.over = "budget"
        if slot is not None and piece is not None:
            slot.pieces.append(piece)
            slot.over = slot.ended(piece, self.job.max_tokens)
            if piece.finish == "full" and slot.over == "budget":
                self._short = self._short or "the model's context ended a text before its end"

    def streamed(self, event: TokenDelta | PromptReady) -> Streamed:
        """An event of one of the answers in progress."""
        pending = self._open[event.key]
        return Streamed(self.job.run, pending.child if pending is not None else 0, event)

    def check_time(self) -> None:
        """End what is being written where time or trust is over; verdicts in part tell nothing."""
        late = self._late() or self.ledger.surprised
        for key in [key for key, slot in self._open.items() if late and slot is not None]:
            self._backend.cancel(key)

    def _advance(self, value: Any) -> tuple[Any, list[str]]:
        """Serve the next ask: of the scorer, while it scores.

        A strategy hears where the budget or the context does not cover what it asks for, and may
        yet answer by what it has.
        """
        try:
            ask = self._next(value)
            while True:
                try:
                    return self._serve(ask)
                except (BudgetSpentError, UnfitError) as error:
                    ask = self._refused(error)
        except StopIteration as stopped:
            return self._returned(stopped.value), []

    def _next(self, value: Any) -> Ask:
        """What is asked for next, by the scorer while it scores."""
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
        """What the strategy asks for next, once it hears that it cannot have what it wanted."""
        if fatal := self._fatal(error):
            raise fatal
        self._scoring, self._unfit, self._cut = None, None, self._spent
        return self._search.throw(BudgetSpentError(error.message, error.hint))

    def _fatal(self, error: Exception | None) -> Exception | None:
        """The error, unless the search may end with what it has: then that is noted."""
        if error is None or isinstance(error, BudgetSpentError):
            return None
        if not isinstance(error, UnfitError) or isinstance(error, NoDocumentError):
            return error
        if not best_so_far(self._seen, self._scores, ()):
            return error
        self._unfit, self._short = error, self._short or error.message
        return None

    @property
    def _spent(self) -> Cut:
        """What is told to have ended a search that ends early."""
        return "context" if self._short else "budget"

    def _returned(self, value: Any) -> Any:
        """A generator has returned: the strategy's ends the job, a scorer's goes on with it."""
        if self._scoring is None:
            self._finish(value)
            return None
        self._scoring = None
        for candidate, number in zip(self._to_score, value, strict=True):
            self._scores[candidate.identity] = as_score(number)
        return [self._scores[one.identity] for one in self._wanted_scores]

    def _serve(self, ask: Ask) -> tuple[Any, list[str]]:
        """What an ask gives at once, or the keys of the requests it begins."""
        match ask:
            case Write():
                self._asked = ask
                self._slots = placed(ask, self._children, self.job.max_tokens)
                begun = self._begin()
                return (None, begun) if begun else (self._sent_back(), [])
            case Next():
                self._asked, self._slots = ask, []
                begun = self._look(ask)
                return (None, begun) if begun else (self._sent_back(), [])
            case Verdict():
                self._asked, self._slots = ask, []
                return None, self._judge(ask)
            case Score():
                self._begin_scoring(ask.candidates)
                return None, []
            case Group():
                return self.job.reader.group(ask.candidates), []
            case Charge():
                self._check_covered(CostBound(ask.cost))
                self.ledger.settle("", ask.cost)
                return None, []

    def _begin_scoring(self, candidates: Sequence[Candidate]) -> None:
        """Hand the scorer what it has not seen."""
        assert self.job.scorer is not None, "checked before anything was asked"
        self._wanted_scores = candidates
        fresh = {one.identity: one for one in candidates if one.identity not in self._scores}
        self._to_score = list(fresh.values())
        self._scoring = self.job.scorer.score(self.job.question, self._to_score)

    def _begin(self) -> list[str]:
        """Begin a piece of every candidate that wants one and can be paid; their keys."""
        waiting = [slot for slot in self._slots if not slot.over]
        requests = first_behind((piece_request(self.job, one) for one in waiting), self._behind)
        bounds = self._backend.bounds(requests)
        wanted = [0 if self._late() else slot.left for slot in waiting]
        granted = self.ledger.shares(bounds, wanted)
        begun = []
        for slot, request, bound, tokens in zip(waiting, requests, bounds, granted, strict=True):
            if request.first and tokens:
                self._behind.add(request.place)
            # Nobody goes on from what nobody could pay to read.
            if not tokens or request.place not in self._behind:
                slot.over = "budget"
                continue
            slot.leased = tokens
            key = request_key(self.job.named or self.job.run, request, tokens)
            leased = replace(request, max_tokens=tokens, key=key)
            self.ledger.lease(leased.key, bound, tokens)
            self._open[leased.key] = slot
            begun.append(leased)
            if self.ledger.careful:
                break
        spare = self.ledger.spare(len(begun))
        for request in begun:
            self._submit(replace(request, spare=spare))
        return [request.key for request in begun]

    def _look(self, ask: Next) -> list[str]:
        """Begin to find out what may follow the candidates."""
        self._looks = looks = NextTokenRequests.of(self.job, ask, self._behind)
        begun = self._begin_whole(looks.requests, "could go on")
        self._behind |= {one.place for one in looks.requests}
        return begun

    def _judge(self, ask: Verdict) -> list[str]:
        """Begin to have verdicts given."""
        judgement, read = judgement_of(self.job, ask, self._read)
        begun = self._begin_whole([judgement], "were judged")
        self._read = read
        return begun

    def _begin_whole(self, requests: Sequence[Request | VerdictRequest], before: str) -> list[str]:
        """Begin requests that write nothing, where the budget covers all of them; their keys."""
        bounds = self._backend.bounds(requests)
        self._check_covered(together(bounds), before)
        for request, bound in zip(requests, bounds, strict=True):
            self.ledger.lease(request.key, bound, 0)
            self._open[request.key] = None
        for request in requests:
            self._submit(request)
        return [request.key for request in requests]

    def _check_covered(self, bound: CostBound, before: str = "were judged") -> None:
        if self._late() or not self.ledger.covers(bound):
            raise nothing_left(before)

    def _late(self) -> bool:
        return self.deadline is not None and self._backend.now() >= self.deadline

    def _sent_back(self) -> Any:
        """What the last ask gave."""
        match self._asked:
            case Verdict() | Next() if self._unfit:
                return None
            case Verdict():
                return list(self._chances)
            case Next() if self._looks is not None:
                return self._looks.sent_back()
        self._unfit = None  # the others are written
        found = [slot.result() for slot in self._slots]
        if any(slot.over == "budget" for slot in self._slots):
            self._cut = self._spent
        self._seen += found
        self._tell(GrownCandidates(self.job.run, found))
        return found

    def interrupt(self) -> None:
        """End the search now with what has come back: nothing more is waited for."""
        self._open.clear()
        written = [*self._seen, *(slot.broken_off() for slot in self._slots if slot.pieces)]
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
            self.ledger.spent,
            found,
            written=sum(self._children.values()),
            opened=self._opened,
            cut=self._cut,
            short=self._short,
            scores=self._scores,
            seconds=self.ledger.seconds,
            lost=self.ledger.lost,
            beyond=self.ledger.beyond,
        )

    def _fail(self, error: BaseException) -> None:
        self._error = self._error or error
        for key in self._open:
            self._backend.cancel(key)
        if not self._open:  # all requests have come back, and are paid
            self.done = JobResult(self.job, self.ledger.spent, error=self._error)
