"""Runs many searches at once on any back end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
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
from forethought.driver.job import GrownCandidates, Job, JobResult, Streamed
from forethought.driver.search_state import SearchState
from forethought.recipes.validation import no_draft, no_scorer
from forethought.storage.replay_log import ReplayLog

_PATIENCE = 5.0
"""Seconds that an interrupted search waits for the outcomes of cancelled requests."""


@dataclass
class Driver:
    """Runs jobs on a back end."""

    backend: Backend
    replay_log: ReplayLog | None = None
    """Outcomes of earlier runs, which are used again."""
    _stopping: bool = False
    _outcomes: deque[RequestOutcome] = field(default_factory=deque)
    """Outcomes to deliver, from the replay log or from the back end."""
    _stream_events: list[TokenDelta | PromptReady] = field(default_factory=list)
    """Events of plain answers to deliver."""
    _started_at: dict[str, float] = field(default_factory=dict)
    """When each open request was submitted."""

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Run all jobs and yield each result as soon as it is complete; see `events`."""
        return (event for event in self.events(jobs) if isinstance(event, JobResult))

    def events(self, jobs: Sequence[Job]) -> Iterator[GrownCandidates | Streamed | JobResult]:
        """Run all jobs and yield their events, and each result as soon as it is complete.

        An interruption ends every job with what it has. A job that fails yields its error, and the
        others continue. No result depends on timing or on the set of jobs, unless a job has a limit
        in seconds.
        """
        grown: list[GrownCandidates] = []
        active = self._states(jobs, grown.append)
        owners = {key: one for one in active for key in one.proceed()}
        try:
            while active:
                yield from grown
                grown.clear()
                for one in [one for one in active if one.done is not None]:
                    active.remove(one)
                    self.backend.release(one.job.run)
                    assert one.done is not None
                    yield one.done
                try:
                    if active and not self._stopping:
                        self._poll(active)
                        yield from (owners[one.key].streamed(one) for one in self._stream_events)
                        self._stream_events.clear()
                        # Outcomes that this adds wait for the next round.
                        for _ in range(len(self._outcomes)):
                            outcome = self._outcomes.popleft()
                            one = owners.pop(outcome.key)
                            owners |= dict.fromkeys(one.receive(outcome), one)
                except KeyboardInterrupt:
                    self._stopping = True
                if self._stopping:
                    self._drain(owners)
                for one in active if self._stopping else ():
                    one.interrupt()
        finally:
            for one in active:  # the caller has closed the generator
                self.backend.release(one.job.run)

    def _states(
        self, jobs: Sequence[Job], tell: Callable[[GrownCandidates], None]
    ) -> list[SearchState]:
        """A state for each job, once all of them can be run."""
        for job in jobs:
            check_needs(job, self.backend)
        _check_distinct(jobs)
        return [SearchState(job, self.backend, self.submit, tell) for job in jobs]

    def stop(self) -> None:
        """End all searches with what they have, as an interruption does."""
        self._stopping = True

    def _drain(self, owners: dict[str, SearchState]) -> None:
        """Cancel the open requests, and record their text and cost."""
        end = self.backend.now() + _PATIENCE
        try:
            for key in owners:
                self.backend.cancel(key)
            while owners and self.backend.now() < end:
                self._poll((), end)
                while self._outcomes:
                    outcome = self._outcomes.popleft()
                    owners.pop(outcome.key).record(outcome)
        except KeyboardInterrupt:
            owners.clear()  # a second interruption means: do not wait

    def submit(self, request: Request | VerdictRequest) -> None:
        """Start a request, unless the replay log has its outcome."""
        replayed = self.replay_log.get(request.key) if self.replay_log else None
        if replayed is None:
            self._started_at[request.key] = self.backend.now()
            self.backend.submit(request)
        else:
            self._outcomes.append(replayed)

    def _poll(self, active: Collection[SearchState], patience: float | None = None) -> None:
        """Wait for events until the next deadline; cancel requests after their deadline.

        Complete outcomes go to the replay log.
        """
        if self._outcomes:
            return
        now = self.backend.now()
        for one in active:
            one.check_time()
        limits = [one.deadline for one in active if one.deadline is not None]
        until = min((limit for limit in limits if limit > now), default=patience)
        for outcome in self.backend.poll(until):
            if not isinstance(outcome, RequestOutcome):
                self._stream_events.append(outcome)
                continue
            seconds = self.backend.now() - self._started_at.pop(outcome.key)
            timed = replace(outcome, seconds=seconds)
            cut = timed.piece is not None and timed.piece.finish == "cancelled"
            if self.replay_log and timed.error is None and not cut:
                self.replay_log.put(timed)
            self._outcomes.append(timed)
        for one in active:
            one.check_time()


def check_needs(job: Job, backend: Backend) -> None:
    """Raise UsageError if the back end cannot run the job; nothing is spent."""
    backend.check_limits(job.limit.kinds)
    needs = job.strategy.needs | (job.scorer.needs if job.scorer else frozenset())
    missing = needs - backend.abilities
    if "draft" in missing:
        raise no_draft()
    if missing:
        raise UsageError(
            f"the search needs {', '.join(sorted(missing))}, which this model's server lacks",
            "use a model that runs here, or another strategy or scorer",
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
