"""The base of requests that prefill text behind a candidate's cache and decode nothing."""

from __future__ import annotations

from forethought.backends.local.candidate_cache import CachedCandidate
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.piece import as_writer
from forethought.contracts.backend import Opened, Place, Request, RequestOutcome
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Cost
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import TokenEvent
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.models.model import Model
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

    def kept(self) -> tuple[Place, CachedCandidate] | None:
        """The place and the cache of a candidate that it makes; None for most."""
        return None

    def _read(self) -> None:
        """Read behind the candidate."""
        raise NotImplementedError

    @property
    def opens(self) -> bool:
        """Whether it pays for the prefill of its prompt."""
        return self.request.first and not self.request.parent.tokens

    def _before(self) -> Cost:
        """The cost of the prompt and of the candidate's newest token, if this request pays it."""
        spent = self.prompt.spent() if self.opens else Cost()
        newest = Cost(flops=self._newest_flops())
        return as_writer(self.request.parent.writer, spent).plus(newest)

    def _opened(self) -> Opened | None:
        """The result of the prompt's prefill, if this request pays for it."""
        reports = self.opens and not self.request.parent.question
        return self.run.opened(self.request) if reports else None

    def _newest_flops(self) -> float:
        """FLOPs of the decode step of the candidate's newest token, if this request pays for it."""
        if self.candidate is None or not pays_newest(self.request):
            return 0.0
        meter = Meter(self.run.clock)
        newest = self.candidate.encoded
        past = tuple(held - newest for held in self.candidate.entries)
        meter.forward(self.prompt.network.shape, 0, [(past, newest)], 1, None)
        return meter.flops


def pays_newest(request: Request) -> bool:
    """Whether the newest token of the parent gets its entry, and is paid, by this request.

    An answer that ended with an end token has an entry for each of its tokens.
    """
    return request.first and request.parent.tokens > 0 and request.parent.finish != "stop"


def check_fits(model: Model, length: int) -> None:
    """Raise PromptTooLongError if an answer and the text behind it exceed the context."""
    context = model.for_length(length).shape.context
    if length > context:
        raise PromptTooLongError(
            f"an answer and the text behind it have {length:,} tokens, but {model.name} holds "
            f"{context:,}",
            "write shorter answers, or use a model with a longer context",
        )


def _nothing() -> SequenceStart:
    return SequenceStart(SequenceCache(0), None)
