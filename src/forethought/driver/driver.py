"""Runs many searches at once on any back end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from forethought.contracts.backend import (
    Backend,
    PromptReady,
    Request,
    RequestOutcome,
    TokenDelta,
    VerdictRequest,
)
from forethought.contracts.errors import UsageError
from forethought.driver.job import Decided, GrownCandidates, Job, JobResult, Streamed
from forethought.driver.search_state import SearchState
from forethought.recipes.validation import no_draft, no_scorer
from forethought.storage.replay_log import ReplayLog

DriverEvent = GrownCandidates | Decided | Streamed | JobResult
_PATIENCE = 5.0
"""Seconds that an interrupted search waits for the outcomes of cancelled requests."""


@dataclass
class Driver:
    """Runs jobs on a back end; jobs may join and leave between its steps."""

    backend: Backend
    replay_log: ReplayLog | None = None
    """Outcomes of earlier runs, which are used again."""
    _active: dict[str, SearchState] = field(default_factory=dict)
    """Unfinished jobs, by run."""
    _owners: dict[str, SearchState] = field(default_factory=dict)
    """The job of each open request, by key."""
    _stopping: bool = False
    _outcomes: deque[RequestOutcome] = field(default_factory=deque)
    """Outcomes to deliver, from the replay log or from the back end."""
    _stream_events: list[TokenDelta | PromptReady] = field(default_factory=list)
    """Events of plain answers to deliver."""
    _told: list[GrownCandidates | Decided] = field(default_factory=list)
    """Grown candidates and decisions to report."""
    _started_at: dict[str, float] = field(default_factory=dict)
    """When each open request was submitted."""

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Run all jobs and yield each result as soon as it is complete; see `events`."""
        return (event for event in self.events(jobs) if isinstance(event, JobResult))

    def events(self, jobs: Sequence[Job]) -> Iterator[DriverEvent]:
        """Run all jobs and yield their events, and each result as soon as it is complete.

        An interruption ends every job with what it has. A job that fails yields its error, and the
        others continue. No result depends on timing or on the set of jobs, unless a job has a limit
        in seconds.
        """
        self.add(jobs)
        try:
            while self._active:
                yield from self._ready()
                try:
                    if self._active and not self._stopping:
                        self._poll(list(self._active.values()))
                        yield from self._deliver()
                except KeyboardInterrupt:
                    self._stopping = True
                if self._stopping:
                    self._drain()
                for one in self._active.values() if self._stopping else ():
                    one.interrupt()
        finally:
            for run in list(self._active):  # the caller has closed the generator
                self.drop(run)

    @property
    def idle(self) -> bool:
        """Whether no job is in progress."""
        return not self._active

    def add(self, jobs: Sequence[Job]) -> None:
        """Start jobs beside those in progress, or none of them.

        Raises UsageError if the back end cannot run one of them, or if two have equal keys.
        """
        for job in jobs:
            check_needs(job, self.backend)
        _check_distinct([*jobs, *(one.job for one in self._active.values())])
        fresh = [SearchState(job, self.backend, self.submit, self._told.append) for job in jobs]
        self._active |= {one.job.run: one for one in fresh}
        for one in fresh:
            self._owners |= dict.fromkeys(one.proceed(), one)

    def step(self, until: float | None = None) -> list[DriverEvent]:
        """The events of one poll of the back end, which ends at `until` by its clock."""
        if events := list(self._ready()):
            return events
        self._poll(list(self._active.values()), until)
        return [*self._deliver(), *self._ready()]

    def drop(self, run: str) -> None:
        """End a job without a result, and free all that its run holds; idempotent."""
        if (gone := self._active.pop(run, None)) is not None:
            self._owners = {key: one for key, one in self._owners.items() if one is not gone}
        self.backend.release(run)

    def stop(self) -> None:
        """End all searches with what they have, as an interruption does."""
        self._stopping = True

    def submit(self, request: Request | VerdictRequest) -> None:
        """Start a request, unless the replay log has its outcome."""
        replayed = self.replay_log.get(request.key) if self.replay_log else None
        if replayed is None:
            self._started_at[request.key] = self.backend.now()
            self.backend.submit(request)
        else:
            self._outcomes.append(replayed)

    def _ready(self) -> Iterator[DriverEvent]:
        """Grown candidates, decisions, and the results that are complete."""
        told, self._told[:] = self._told[:], []
        yield from told
        for one in [one for one in self._active.values() if one.done is not None]:
            assert one.done is not None
            self.drop(one.job.run)
            yield one.done

    def _deliver(self) -> Iterator[Streamed]:
        """Yield what streams, and continue the jobs with their outcomes."""
        streams, self._stream_events[:] = self._stream_events[:], []
        yield from (self._owners[one.key].streamed(one) for one in streams)
        # Outcomes that this adds wait for the next round.
        for _ in range(len(self._outcomes)):
            outcome = self._outcomes.popleft()
            if (one := self._owners.pop(outcome.key, None)) is not None:  # else it was dropped
                self._owners |= dict.fromkeys(one.receive(outcome), one)

    def _drain(self) -> None:
        """Cancel the open requests, and record their text and cost."""
        end = self.backend.now() + _PATIENCE
        try:
            for key in self._owners:
                self.backend.cancel(key)
            while self._owners and self.backend.now() < end and self._poll((), end):
                while self._outcomes:
                    outcome = self._outcomes.popleft()
                    self._owners.pop(outcome.key).record(outcome)
        except KeyboardInterrupt:
            self._owners.clear()  # a second interruption means: do not wait

    def _poll(self, active: Collection[SearchState], patience: float | None = None) -> bool:
        """Wait for events until the next deadline; cancel requests after their deadline.

        Complete outcomes go to the replay log. False if no event came.
        """
        if self._outcomes:
            return True
        now = self.backend.now()
        for one in active:
            one.check_time()
        limits = [one.deadline for one in active if one.deadline is not None]
        limits += [patience] if patience is not None else []
        until = min((limit for limit in limits if limit > now), default=patience)
        events = self.backend.poll(until)
        for outcome in events:
            if outcome.key not in self._owners:
                self._started_at.pop(outcome.key, None)  # of a job that was dropped
            elif isinstance(outcome, RequestOutcome):
                self._record(outcome)
            else:
                self._stream_events.append(outcome)
        for one in active:
            one.check_time()
        return bool(events)

    def _record(self, outcome: RequestOutcome) -> None:
        seconds = self.backend.now() - self._started_at.pop(outcome.key)
        timed = replace(outcome, seconds=seconds)
        cut = timed.piece is not None and timed.piece.finish == "cancelled"
        # Readings hold whole matrices, and cost one prefill to repeat.
        if self.replay_log and timed.error is None and not cut and not timed.readings:
            self.replay_log.put(timed)
        self._outcomes.append(timed)


def check_needs(job: Job, backend: Backend) -> None:
    """Raise UsageError if the back end cannot run the job; nothing is spent."""
    backend.check_limits(job.limit.kinds)
    missing = job.needs - backend.abilities
    if "draft" in missing:
        raise no_draft()
    if missing:
        raise UsageError(
            f"the search needs {', '.join(sorted(missing))}, which this model's server lacks",
            "use a model that runs here, or another strategy, scorer or confidence method",
        )
    if job.strategy.scores and job.scorer is None:
        raise no_scorer()


def _check_distinct(jobs: Sequence[Job]) -> None:
    """Raise UsageError if two jobs would have equal request keys."""
    counts = Counter(job.key_namespace or job.run for job in jobs)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise UsageError(
            f"{len(repeated)} searches occur twice in one batch, such as {repeated[0]}",
            "give one of them another seed, or run them one after the other: the second is then "
            "answered from the replay log",
        )
