"""The models of this machine as a back end: pieces are written together, prompts read once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from forethought.backends.local.seats import Arrived, CachedCandidate, CandidateCaches, read_newest
from forethought.backends.local.verdicts import LocalJudge
from forethought.backends.local.writing import PieceInProgress, read_by, written_by
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import CostBound, Opened, Request, RequestOutcome, VerdictRequest
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Cost, Kept, LimitKind
from forethought.contracts.search import Ability, Piece, Writer
from forethought.cost.flops import answer_flops
from forethought.engine.batch import Batch, NewTokens
from forethought.engine.decode import Stream
from forethought.engine.meter import Clock, Meter
from forethought.engine.sampling import SamplingParams
from forethought.models.model import Model
from forethought.prefill.context_room import short_room
from forethought.prefill.opening import PreparedPrompt
from forethought.recipes.recipe import Recipe
from forethought.recipes.sampling import sampling_of

Who = tuple[str, Writer]
"""A run, and which of its models."""


@dataclass
class LocalBackend:
    """A recipe's models, asked piece by piece."""

    recipe: Recipe
    target: Model
    draft: Model
    clock: Clock = time.perf_counter
    system: str | None = None
    """The system message of every prompt."""
    _openings: dict[tuple[Who, str], PreparedPrompt] = field(default_factory=dict)
    """By question."""
    _meters: dict[Who, Meter] = field(default_factory=dict)
    _seats: CandidateCaches = field(default_factory=CandidateCaches)
    _begun: list[Request | VerdictRequest] = field(default_factory=list)
    _starting: list[Request | VerdictRequest] = field(default_factory=list)
    _dropped: list[RequestOutcome] = field(default_factory=list)
    _writing: list[PieceInProgress] = field(default_factory=list)
    _told: dict[Who, float] = field(default_factory=dict)
    """The bytes moved that outcomes have told of."""

    @cached_property
    def _judge(self) -> LocalJudge:
        return LocalJudge(self.target, self.clock)

    @property
    def abilities(self) -> frozenset[Ability]:
        """All there are; a draft writes only where it is another model."""
        other: frozenset[Ability] = frozenset(() if self.draft is self.target else ("draft",))
        return other | {"steps", "log-probabilities", "certainty", "verdicts", "next-tokens"}

    def now(self) -> float:
        """What the clock shows."""
        return self.clock()

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """All are held; dollars too, as none are spent here."""

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """The first to go on from somewhere pays for reading up to there."""
        found = []
        for request in requests:
            match request:
                case VerdictRequest():
                    found.append(CostBound(Cost(flops=self._judge.flops(request))))
                case Request():
                    found.append(self._bound(request))
        return found

    def submit(self, request: Request | VerdictRequest) -> None:
        """Begin a request at the next poll."""
        self._begun.append(request)

    def poll(self, until: float | None = None) -> list[RequestOutcome]:
        """Read what is new, then write a token of every piece until one or more end."""
        done, self._dropped = self._dropped, []
        done += self._start()
        while not done and (until is None or self.clock() < until):
            done = self._step()
        return done

    def cancel(self, key: str) -> None:
        """End a piece with what it has; what is not begun, or was broken off then, has nothing."""
        for one in self._writing:
            if one.request.key == key:
                one.finish = one.finish or "cancelled"
                return
        dropped = [one for one in (*self._begun, *self._starting) if one.key == key]
        self._begun = [one for one in self._begun if one.key != key]
        self._starting = [one for one in self._starting if one.key != key]
        nothing = Piece("", (), 0, 0.0, "cancelled")
        self._dropped += [RequestOutcome(one.key, Cost(), nothing) for one in dropped]

    def release(self, run: str) -> None:
        """Let go of a run's prompts and of all that was written behind them."""
        self._openings = {w: opening for w, opening in self._openings.items() if w[0][0] != run}
        self._seats.release(run)
        self._judge.release(run)
        self._begun = [one for one in self._begun if one.run != run]
        self._writing = [one for one in self._writing if one.request.run != run]
        self._meters = {who: meter for who, meter in self._meters.items() if who[0] != run}
        self._told = {who: told for who, told in self._told.items() if who[0] != run}

    def _bound(self, request: Request) -> CostBound:
        opening = self._opening(request)
        longest = len(opening.prompt) + request.parent.tokens + request.max_tokens
        token = answer_flops(opening.target.shape, longest, 1)
        once = 0.0
        if request.first:  # what its parent's newest token takes, or the prompt
            once = token if request.parent.tokens else opening.flops_at_most()
        # What is written is read for what follows it: a single token need not be.
        each = token if request.max_tokens > 1 else 0.0
        return CostBound(Cost(flops=once), replace(written_by(request, 1), flops=each))

    def _opening(self, request: Request) -> PreparedPrompt:
        return self._opened(request, request.parent.writer)

    def _opened(self, request: Request, writer: Writer) -> PreparedPrompt:
        """The request's prompt as one of the models reads it."""
        where = ((request.run, writer), request.parent.question)
        if where not in self._openings:
            meter = self._meters.setdefault(where[0], Meter(self.clock))
            asked = request.parent.question or request.question.text
            document = "" if request.parent.question else request.question.document
            # Methods are the target's: a draft that answers reads all of the prompt.
            drafted = replace(self.recipe, approximate=(), draft=Recipe.draft)
            recipe = self.recipe if writer == "target" else drafted
            model = self.target if writer == "target" else self.draft
            self._openings[where] = PreparedPrompt.of(
                recipe, model, self.draft, asked, document, meter, self.system
            )
        return self._openings[where]

    def _told_of(self, request: Request, opening: PreparedPrompt) -> Opened:
        """What was found in reading the run's prompt: of the target's nothing, by the draft."""
        if request.parent.writer == "target":
            return opening.told()
        length = len(self._opened(request, "target").prompt)
        short = short_room(opening.room, self.recipe.max_tokens, "draft")
        return Opened(length, Kept(0, length, ()), short)

    def _start(self) -> list[RequestOutcome]:
        """Give every new piece its seat, and judge what is to be judged; outcomes there are."""
        # Kept until all are placed, should this be interrupted.
        begun = self._starting = self._begun
        self._begun = []
        done: list[RequestOutcome] = []
        arrived: list[Arrived] = []
        for request in begun:
            try:
                match request:
                    case VerdictRequest():
                        done.append(self._judge.outcome(request))
                    case Request():
                        arrived.append(self._arrived(request))
            except ForethoughtError as error:
                done.append(RequestOutcome(request.key, Cost(), error=error))
        read_newest(arrived, Meter(self.clock))
        for one in arrived:
            if one.request.top:
                done.append(self._told_next(one))
            else:
                self._writing.append(self._seated(one))
        looked = Counter(one.request.run for one in arrived if one.request.top)
        for run, count in looked.items():
            self._seats.thin(run, count)
        self._starting = []
        return done

    def _arrived(self, request: Request) -> Arrived:
        """A request with the seat of its parent, which may have to be read anew."""
        opening = self._opening(request)
        meter, before = opening.meter, opening.meter.copied()
        where = request.run, *request.place
        seat = self._seats.get(where) or self._found(request, opening)
        self._seats.put(where, seat)
        opens = request.first and not request.parent.tokens
        spent = read_by(request, meter.since(before).cost(0.0)) if opens else Cost()
        told = self._told_of(request, opening) if opens and not request.parent.question else None
        return Arrived(request, opening.target, seat, meter, spent, told)

    def _seated(self, one: Arrived) -> PieceInProgress:
        """A piece that is ready for its first token."""
        request, seat = one.request, one.seat
        # The first of all candidates is the answer that one alone would be, bit for bit.
        row = seat.behind(request.max_tokens, alone=not any(request.path))
        assert seat.row is not None
        one.meter.watch([row, seat.row])
        parent, tokenizer = request.parent, one.model.tokenizer
        room, limit = self._opening(request).room, parent.tokens + request.max_tokens
        stream = Stream(
            row,
            self._sampling(request),
            candidate=request.stream,
            limit=min(limit, room),
            ends=tokenizer.ends,
            written=list(parent.token_ids),
            full="length" if limit < room else "full",
            meter=one.meter,
        )
        matcher = StopMatcher(self.recipe.stop, self.recipe.keep_stop, parent.text)
        writing = PieceInProgress(
            one, stream, seat.logits, tokenizer.decoding(parent.token_ids), matcher
        )
        writing.finish = "" if parent.tokens < room else "full"
        return writing

    def _told_next(self, one: Arrived) -> RequestOutcome:
        cost = self._charged(one.request, one.reading(0, self.clock))
        return RequestOutcome(one.request.key, cost, opened=one.opened, following=one.following())

    def _found(self, request: Request, opening: PreparedPrompt) -> CachedCandidate:
        """The seat of a candidate that nobody wrote here: at the prompt, or read behind it.

        It is read token by token, as it was written: the weights that prompts are read with
        would round otherwise.
        """
        seat, firsts = self._root(request, opening), request.parent.first_child_tokens
        batch = Batch(opening.target.network, opening.meter)
        for place, token in enumerate(request.parent.token_ids):
            alone = place < firsts
            if place in (0, firsts):
                seat = CachedCandidate(
                    seat.fresh(alone=alone), None, root=seat.root or seat, alone=alone
                )
            seat.newest = token
            seat.hear(batch.forward([seat.part(opening.meter)], phase="decode")[0])
        return seat

    def _root(self, request: Request, opening: PreparedPrompt) -> CachedCandidate:
        """The seat at a prompt."""
        where = request.run, request.parent.writer, request.parent.question, (), 0
        seat = self._seats.get(where)
        if seat is None:
            reading = opening.read()
            seat = CachedCandidate.at(reading.row.fork(), reading.logits, opening.start)
            self._seats.put(where, seat)
        return seat

    def _sampling(self, request: Request) -> SamplingParams:
        given = request.temperature
        temperature = self.recipe.warmth if given is None else given
        return replace(sampling_of(self.recipe), seed=request.seed, temperature=temperature)

    def _step(self) -> list[RequestOutcome]:
        """Read the newest tokens together, then choose one more for every piece."""
        self._read()
        for one in self._writing:
            if not one.finish:
                one.choose()
        done = [self._outcome(one) for one in self._writing if one.finish]
        self._writing = [one for one in self._writing if not one.finish]
        return done

    def _read(self) -> None:
        behind = [one for one in self._writing if one.logits is None and not one.finish]
        groups: dict[int, list[PieceInProgress]] = {}
        for one in behind:
            groups.setdefault(id(self._opening(one.request).target.network), []).append(one)
        for group in groups.values():
            network = self._opening(group[0].request).target.network
            parts = [
                NewTokens(one.stream.row, one.stream.written[-1:], meter=one.stream.meter)
                for one in group
            ]
            logits = Batch(network, Meter(self.clock)).forward(parts, phase="decode")
            for one, row in zip(group, logits, strict=True):
                one.logits = row
                one.stream.steps += 1

    def _outcome(self, one: PieceInProgress) -> RequestOutcome:
        request = one.request
        if one.finish in ("step", "length"):  # it may be gone on from
            writer, question, *_ = request.place
            where = (request.run, writer, question, request.path, len(one.stream.written))
            self._seats.put(where, one.seat())
        cost = self._charged(request, one.cost(self.clock))
        return RequestOutcome(request.key, cost, one.piece(), opened=one.arrived.opened)

    def _charged(self, request: Request, cost: Cost) -> Cost:
        """What a request took, and of its run's traffic what is not told yet."""
        who = request.run, request.parent.writer
        moved = self._meters[who].bytes_moved
        told, self._told[who] = self._told.get(who, 0.0), moved
        # Both models' caches stay until the run is over.
        peaks = [meter.peak_cache_bytes for by, meter in self._meters.items() if by[0] == who[0]]
        return replace(cost, bytes_moved=moved - told, peak_cache_bytes=sum(peaks))
