"""The models of this machine as a back end: requests become sequences of one scheduler."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from forethought.backends.local.candidate_cache import CachedCandidate
from forethought.backends.local.continuation import (
    Continuation,
    continuation,
    prefill_only_bound,
)
from forethought.backends.local.drafting import DraftStore
from forethought.backends.local.dropped_text import Reencoding, encoding_flops, kept_tokens
from forethought.backends.local.local_run import LocalRun
from forethought.backends.local.piece import decoded_by
from forethought.backends.local.prompt_group import PromptGroup
from forethought.backends.local.verdicts import VerdictInProgress
from forethought.backends.local.workers import workers_bound
from forethought.contracts.backend import (
    BackendEvent,
    CostBound,
    Place,
    Request,
    RequestOutcome,
    VerdictRequest,
)
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Cost, LimitKind
from forethought.contracts.search import Ability, Piece
from forethought.cost.flops import answer_flops
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.meter import Clock
from forethought.engine.scheduler import Scheduler, TokenEvent
from forethought.engine.sequence import Sequence as TokenSequence
from forethought.engine.sequence import SequenceStart
from forethought.models.hardware.memory import cache_room
from forethought.models.model import Model
from forethought.prefill.prefill_bound import PrefillBound
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from forethought.recipes.recipe import Recipe

Where = tuple[str, Place]
"""A run, and a candidate of it."""


@dataclass
class LocalBackend:
    """Serves requests of any number of runs, each with its own recipe or the default one."""

    recipe: Recipe
    target: Model
    draft: Model
    clock: Clock = time.perf_counter
    system: str | None = None
    """The system message of every prompt."""
    runs: dict[str, LocalRun] = field(default_factory=dict)
    """By name; a new run gets the recipe and models above."""
    scheduler: Scheduler = field(default_factory=Scheduler)
    prefix_cache: PrefixCache | None = None
    """Shares exact entries across runs of a tenant; None computes every prompt."""
    prefill_memo: PrefillMemo = field(default_factory=PrefillMemo)
    """Results of drafts and choices of tokens, shared in the same way beside a prefix cache."""
    drafts: DraftStore = field(default_factory=DraftStore)
    """What drafters keep from one sequence of a tenant to the next."""
    _queued: list[Request | VerdictRequest] = field(default_factory=list)
    _work: dict[str, Continuation | VerdictInProgress] = field(default_factory=dict)
    """By key of the request."""
    _handlers: dict[int, Callable[[TokenEvent], None]] = field(default_factory=dict)
    """By id of the sequence."""
    _blocked: dict[Where, list[Continuation]] = field(default_factory=dict)
    """Pieces that wait for their candidate's cache, by candidate."""
    _readers: dict[Where, TokenSequence] = field(default_factory=dict)
    """The sequence that computes the cache of each of these candidates."""
    _events: list[BackendEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        admission = self.scheduler.admission
        if admission.cache_bytes is None:
            admission.cache_bytes = cache_room(self.target.network.device)

    @property
    def abilities(self) -> frozenset[Ability]:
        """All abilities; a draft that decodes candidates only if a run has another model for it."""
        own = any(one.draft is not one.target for one in self.runs.values())
        drafts = own or self.draft is not self.target
        other: frozenset[Ability] = frozenset(("draft",) if drafts else ())
        return other | {
            "steps", "log-probabilities", "certainty", "token-confidence", "verdicts",
            "next-tokens", "follow-ups", "readings", "probes", "shortened-prompt", "workers",
            "schemas",
        }  # fmt: skip

    def now(self) -> float:
        """The clock's time."""
        return self.clock()

    def run(self, name: str) -> LocalRun:
        """The state of a run."""
        if name not in self.runs:
            models = self.target, self.draft
            self.runs[name] = LocalRun(self.recipe, *models, self.clock, self.system)
        found = self.runs[name]
        found.drafts = self.drafts
        if self.prefix_cache is not None and found.reuse is None:
            found.reuse = PrefillReuse(self.prefix_cache, self.prefill_memo, found.tenant)
        return found

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Accept all limits; none of the requests costs dollars."""

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """An upper bound for each request; the first one for a prefix pays for its prefill."""
        return [
            self._bound(one)
            if isinstance(one, Request)
            else CostBound(Cost(flops=self.run(one.run).verdict_model.flops(one)))
            for one in requests
        ]

    def submit(self, request: Request | VerdictRequest) -> None:
        """Queue a request for the next poll."""
        self._queued.append(request)

    def poll(self, until: float | None = None) -> list[BackendEvent]:
        """Run scheduler steps until there is an event, or until a time."""
        self._begin_queued()
        while not self._events and not self.scheduler.idle:
            self._fit_prefixes()
            self._handle(self.scheduler.step())
            if until is not None and self.clock() >= until:
                break
        events, self._events = self._events, []
        return events

    def cancel(self, key: str) -> None:
        """End a request with its text so far, and free its cache."""
        self._queued, dropped = (
            [one for one in self._queued if (one.key == key) == mine] for mine in (False, True)
        )
        for one in dropped:
            self._events.append(RequestOutcome(one.key, Cost(), Piece("", (), 0, 0.0, "cancelled")))
        if (work := self._work.get(key)) is not None and not work.sequence.finish:
            work.hold()
            self._drop(work)
            self._finish(work)

    def release(self, run: str) -> None:
        """Drop the sequences, prompts and caches of a run."""
        for key in [key for key, work in self._work.items() if work.request.run == run]:
            self._drop(self._work.pop(key))
        self._queued = [one for one in self._queued if one.run != run]
        if (found := self.runs.pop(run, None)) is not None:
            found.release()

    def _fit_prefixes(self) -> None:
        """Let the prefix cache have the memory that no sequence needs."""
        free = self.scheduler.admission.free_bytes
        if self.prefix_cache is not None and free is not None:
            self.prefix_cache.allow(free)

    def _bound(self, request: Request) -> CostBound:
        run = self.run(request.run)
        prompt = run.prompt_of(request)
        if (bound := prefill_only_bound(request, run, prompt)) is not None:
            return bound
        longest = len(prompt.prompt) + request.parent.tokens + request.max_tokens
        longest = min(longest, prompt.target.for_length(longest).shape.context)
        token = answer_flops(prompt.target.shape, longest, 1)
        probing = sum(one.flops for one in run.probes)
        # A piece of one token adds no entry; in longer pieces, each token may add one.
        each = token if request.max_tokens > 1 else 0.0
        later = replace(decoded_by(request.parent.writer, 1), flops=each)
        if not request.first:
            return CostBound(Cost(flops=probing), later)
        if request.parent.tokens:  # the decode step of the parent's newest token
            flops = encoding_flops(request, prompt) if request.parent.dropped else token
            return CostBound(Cost(flops=flops + probing), later)
        if request.plan is not None:
            probing += workers_bound(request.plan, prompt).flops
        least = Cost(flops=prompt.flops_at_least() + probing)
        once = Cost(flops=prompt.flops_at_most() + probing)
        known = PrefillBound(prompt.plan, prompt.draft, prompt.answer_tokens)
        return CostBound(once, later, least, known.fits(len(prompt.prompt), prompt.target))

    def _begin_queued(self) -> None:
        """Turn queued requests into sequences; plain answers with equal prompts share a prefill."""
        groups: dict[tuple[object, ...], PromptGroup] = {}
        asked: Counter[str] = Counter()
        while self._queued:
            request = self._queued[0]
            try:
                if isinstance(request, VerdictRequest):
                    self._begin_verdict(request)
                else:
                    self._begin(request, groups)
                    asked[request.run] += bool(request.top)
            except ForethoughtError as error:
                self._events.append(RequestOutcome(request.key, Cost(), error=error))
            self._queued.pop(0)
        for run, count in asked.items():
            if count:
                self.run(run).caches.thin(count)

    def _begin_verdict(self, request: VerdictRequest) -> None:
        work = VerdictInProgress(request, self.run(request.run).verdict_model)
        self._work[request.key] = work
        self._schedule(work.sequence, lambda _: self._finish(work))

    def _begin(self, request: Request, groups: dict[tuple[object, ...], PromptGroup]) -> None:
        run = self.run(request.run)
        prompt = run.prompt_of(request)
        piece = continuation(request, run, prompt)
        self._work[request.key] = piece
        if request.prefill_flops is not None:
            prompt.meter.limit = prompt.meter.flops + request.prefill_flops
        prompt.waiting += request.max_tokens > 1
        piece.candidate = run.caches.get(request.place)
        if prompt.untouched:
            # With a prefix cache, each run has a prefill of its own and may be cancelled alone.
            together = run.plain and run.reuse is None
            shared = (id(prompt.target), prompt.prompt.tokens) if together else (id(prompt),)
            groups.setdefault(shared, PromptGroup(self.clock)).add(prompt)
        if piece.ready:
            self._start(piece)
        else:
            self._block(piece, self._decode_newest if piece.candidate else self._encode)

    def _start(self, piece: Continuation) -> None:
        """Queue a piece whose candidate is cached, or is the prompt itself."""
        piece.sequence.prefill = piece.prefill
        self._schedule(piece.sequence, lambda event: self._take(piece, event))

    def _schedule(self, sequence: TokenSequence, handler: Callable[[TokenEvent], None]) -> None:
        self._handlers[id(sequence)] = handler
        self.scheduler.add(sequence)

    def _handle(self, events: Sequence[TokenEvent]) -> None:
        """Charge the step's time, and handle its events."""
        for meter in {id(one.meter): one.meter for one in self.scheduler.decoded}.values():
            seconds = meter.stages.get("decode", 0.0) + self.scheduler.decode_seconds
            meter.stages["decode"] = seconds
        for event in events:
            sequence = event.sequence
            handler = self._handlers[id(sequence)]
            if sequence.finish and not sequence.decoding:  # its last event
                del self._handlers[id(sequence)]
            handler(event)

    def _take(self, piece: Continuation, event: TokenEvent) -> None:
        if piece.run.plain and not piece.run.reported and piece.candidate is not None:
            self._events.append(piece.run.prompt_ready(piece.request))
        piece.add(event)
        if piece.delta is not None:
            self._events.append(piece.delta)
        if piece.finished:
            self._finish(piece)

    def _finish(self, work: Continuation | VerdictInProgress) -> None:
        """Report the outcome of a request, and cache the candidate that others may continue."""
        del self._work[work.request.key]
        self._handlers.pop(id(work.sequence), None)
        outcome = work.outcome()
        work.hold()
        if (kept := work.kept()) is not None:
            self.run(work.request.run).caches.put(*kept)
        self._events.append(outcome)

    def _drop(self, work: Continuation | VerdictInProgress) -> None:
        """Stop a request's sequence, free its cache, and stop what is computed for it alone."""
        self._cancel(work.sequence)
        for where, waiting in list(self._blocked.items()):
            waiting[:] = [one for one in waiting if one is not work]
            if not waiting:
                del self._blocked[where]
                self._cancel(self._readers.pop(where))

    def _cancel(self, sequence: TokenSequence) -> None:
        self.scheduler.cancel(sequence)
        self._handlers.pop(id(sequence), None)

    def _block(self, piece: Continuation, begin: Callable[[Continuation, Where], None]) -> None:
        """Make a piece wait for its candidate's cache, which is computed once for all."""
        where = piece.request.run, piece.request.place
        self._blocked.setdefault(where, []).append(piece)
        if len(self._blocked[where]) == 1:
            begin(piece, where)

    def _unblock(self, where: Where, candidate: CachedCandidate) -> None:
        del self._readers[where]
        for piece in self._blocked.pop(where):
            piece.candidate = candidate
            self._start(piece)

    def _decode_newest(self, piece: Continuation, where: Where) -> None:
        """Decode the newest token of a candidate, for all pieces that continue it."""
        candidate = piece.candidate
        assert candidate is not None, "a candidate without logits"
        sequence = TokenSequence(
            piece.prompt.network,
            piece.sequence.meter,
            lambda: SequenceStart(candidate.own_cache(), None),
            tokens=[candidate.newest],
            max_tokens=1,
            caches_last=True,
        )

        def take(event: TokenEvent) -> None:
            assert sequence.logits is not None, "its last token was decoded"
            candidate.take_logits(sequence.logits, sequence.state)
            self._unblock(where, candidate)

        self._readers[where] = sequence
        self._schedule(sequence, take)

    def _encode(self, piece: Continuation, where: Where) -> None:
        """Compute a cache that is not held: from one of the same text, or from the prompt's."""
        request, caches, target = piece.request, piece.run.caches, piece.prompt.target
        alone = sum(one.request.run == request.run for one in self._work.values()) == 1
        found = Reencoding.of(request, caches, target.tokenizer, alone=alone)
        if found is None:
            return self._recompute(piece, where)

        def take(_: TokenEvent) -> None:
            if sequence.error is not None:
                return self._fail(where, sequence.error)
            caches.put(request.place, found.candidate)
            self._unblock(where, found.candidate)

        sequence = self._readers[where] = found.sequence(piece.prompt, piece.sequence.meter)
        self._schedule(sequence, take)

    def _recompute(
        self, piece: Continuation, where: Where, before: CachedCandidate | None = None
    ) -> None:
        """Decode a candidate's tokens again, in their original order, if no cache holds it.

        Tokens of first children lie in one segment with the prompt, all others in a tail after it.
        """
        parent, prompt = piece.request.parent, piece.prompt
        tokens = kept_tokens(prompt.target.tokenizer, parent)
        firsts = min(parent.first_child_tokens, len(tokens))
        start = firsts if before is not None else 0
        one_segment = start < firsts
        stop = firsts if one_segment else len(tokens)
        root: list[CachedCandidate] = []

        def open_root() -> SequenceStart:
            root.append(before or piece.run.root(prompt, piece.request))
            sequence.network = prompt.network
            cache = root[0].continued(one_segment=one_segment)
            return SequenceStart(cache, root[0].logits, root[0].state)

        def take(event: TokenEvent) -> None:
            if sequence.error is not None:
                self._fail(where, sequence.error)
            elif sequence.finish and not sequence.decoding:
                found = CachedCandidate(
                    sequence.cache, root=root[0].root or root[0], one_segment=one_segment
                )
                assert sequence.logits is not None, "its last token was decoded"
                found.take_logits(sequence.logits, sequence.state)
                if stop < len(tokens):
                    self._recompute(piece, where, found)
                else:
                    piece.run.caches.put(piece.request.place, found)
                    self._unblock(where, found)

        sequence = TokenSequence(
            prompt.target.network,
            piece.sequence.meter,
            open_root,
            prefill=prompt.prefill,
            tokens=list(tokens[:start]),
            forced=list(tokens[start:stop]),
            max_tokens=stop,
            caches_last=True,
        )
        self._readers[where] = sequence
        self._schedule(sequence, take)

    def _fail(self, where: Where, error: ForethoughtError) -> None:
        del self._readers[where]
        for piece in self._blocked.pop(where):
            piece.sequence.fail(error)
            self._finish(piece)
