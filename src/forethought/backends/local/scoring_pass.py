"""The base of requests that prefill text behind a candidate's cache and decode nothing."""

from __future__ import annotations

from forethought.backends.local.candidate_cache import CachedCandidate
from forethought.backends.local.local_run import LocalRun
from forethought.contracts.backend import Request, RequestOutcome
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import TokenEvent
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.prefill.prepare import PreparedPrompt


class ScoringPass:
    """Waits for the cache of a candidate, and reads text behind it with a meter of its own."""

    delta = None
    """No token is decoded."""

    def __init__(self, request: Request, run: LocalRun, prompt: PreparedPrompt) -> None:
        self.request, self.run, self.prompt = request, run, prompt
        self.candidate: CachedCandidate | None = None
        self.prefill: Prefill | None = Prefill(self._read)
        self._meter = Meter(run.clock)
        meter = run.meter(request.parent.writer)
        self.sequence = Sequence(prompt.target.network, meter, _nothing, max_tokens=0)

    @property
    def ready(self) -> bool:
        """Whether the candidate's cache holds all its tokens."""
        return self.candidate is not None and self.candidate.closed

    @property
    def finished(self) -> bool:
        """Whether the sequence has finished."""
        return bool(self.sequence.finish)

    def outcome(self) -> RequestOutcome:
        """What was read, with its cost, or the error."""
        raise NotImplementedError

    def add(self, event: TokenEvent) -> None:
        """Do nothing: no token is decoded."""

    def hold(self) -> None:
        """Do nothing: no conversation continues it."""

    def kept(self) -> None:
        """Do nothing: no candidate continues it."""

    def _read(self) -> None:
        """Read behind the candidate, and leave its cache as it was."""
        raise NotImplementedError


def _nothing() -> SequenceStart:
    return SequenceStart(SequenceCache(0), None)
