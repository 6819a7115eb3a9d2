"""The models of this machine as a back end: pieces are written together, prompts read once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from forethought.contracts.backend import Bound, Judgement, Opened, Outcome, Request
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Cost
from forethought.contracts.search import Ability, Path, Piece
from forethought.cost.flops import answer_flops
from forethought.engine.batch import Batch, Part
from forethought.engine.cache import Row
from forethought.engine.decode import Stream
from forethought.engine.meter import Clock, Meter
from forethought.engine.sampling import Sampling, choose
from forethought.models.model import Model
from forethought.runs.judging import judged, judging_flops
from forethought.runs.opening import Opening
from forethought.runs.recipe import Recipe
from forethought.runs.voice import sampling_of

Where = tuple[str, str, Path, int]
"""A run, a candidate's question and path, and how many of its tokens: where a seat is found."""


@dataclass
class Seat:
    """What is cached of a candidate: all its tokens, or all but the last."""

    row: Row
    logits: Tensor | None
    """[V], after its newest token; None where that was not read yet."""
    newest: int = 0


@dataclass
class Writing:
    """A piece on its way."""

    request: Request
    stream: Stream
    logits: Tensor | None
    """For its next token; None while the newest was not read."""
    spent: Cost
    """Before its first token."""
    opened: Opened | None
    """What was found in reading the prompt for it."""
    past: tuple[float, ...]
    """Entries per layer that its first token was written behind."""
    start: int
    """That token's place."""
    text: str = ""
    log_probability: float = 0.0
    finish: str = ""


@dataclass
class Local:
    """A recipe's models, asked piece by piece."""

    recipe: Recipe
    target: Model
    draft: Model
    clock: Clock = time.perf_counter
    system: str | None = None
    """The system message of every prompt."""
    abilities: ClassVar[frozenset[Ability]] = frozenset({"steps", "log-probabilities", "verdicts"})
    _openings: dict[tuple[str, str], Opening] = field(default_factory=dict)
    _meters: dict[str, Meter] = field(default_factory=dict)
    _seats: dict[Where, Seat] = field(default_factory=dict)
    _begun: list[Request | Judgement] = field(default_factory=list)
    _writing: list[Writing] = field(default_factory=list)
    _told: dict[str, float] = field(default_factory=dict)
    """By run, the bytes moved that outcomes have told of."""

    def now(self) -> float:
        """What the clock shows."""
        return self.clock()

    def bounds(self, requests: Sequence[Request | Judgement]) -> list[Bound]:
        """The first to go on from somewhere pays for reading up to there."""
        found = []
        for request in requests:
            match request:
                case Judgement():
                    flops = judging_flops(self.target, request)
                    found.append(Bound(Cost(flops=flops)))
                case Request():
                    found.append(self._bound(request))
        return found

    def submit(self, request: Request | Judgement) -> None:
        """Begin a request at the next poll."""
        self._begun.append(request)

    def poll(self, until: float | None = None) -> list[Outcome]:
        """Read what is new, then write a token of every piece until one or more end."""
        done = self._start()
        while not done and (until is None or self.clock() < until):
            done = self._step()
        return done

    def cancel(self, key: str) -> None:
        """End a piece with what it has."""
        for one in self._writing:
            if one.request.key == key:
                one.finish = one.finish or "cancelled"

    def release(self, run: str) -> None:
        """Let go of a run's prompts and of all that was written behind them."""
        self._openings = {w: opening for w, opening in self._openings.items() if w[0] != run}
        self._seats = {where: seat for where, seat in self._seats.items() if where[0] != run}
        self._begun = [one for one in self._begun if one.run != run]
        self._writing = [one for one in self._writing if one.request.run != run]
        self._meters.pop(run, None)
        self._told.pop(run, None)

    def _bound(self, request: Request) -> Bound:
        opening = self._opening(request)
        longest = len(opening.prompt) + request.parent.tokens + request.most
        token = answer_flops(self.target.shape, longest, 1)
        once = 0.0
        if request.first:  # what its parent's newest token takes, or the prompt
            once = token if request.parent.tokens else opening.flops_at_most()
        return Bound(Cost(flops=once), Cost(output_tokens=1, flops=token))

    def _opening(self, request: Request) -> Opening:
        where = (request.run, request.parent.question)
        if where not in self._openings:
            meter = self._meters.setdefault(request.run, Meter(self.clock))
            asked = request.parent.question or request.question.text
            document = "" if request.parent.question else request.question.document
            self._openings[where] = Opening.of(
                self.recipe, self.target, self.draft, asked, document, meter, self.system
            )
        return self._openings[where]

    def _start(self) -> list[Outcome]:
        """Give every new piece its seat, and judge what is to be judged; outcomes there are."""
        begun, self._begun = self._begun, []
        done = []
        for request in begun:
            try:
                match request:
                    case Judgement():
                        done.append(self._judged(request))
                    case Request():
                        self._writing.append(self._seated(request))
            except ForethoughtError as error:
                done.append(Outcome(request.key, Cost(), error=error))
        return done

    def _judged(self, request: Judgement) -> Outcome:
        meter = Meter(self.clock)
        chances = judged(self.target, request, meter)
        return Outcome(request.key, meter.cost(0.0), chances=chances)

    def _seated(self, request: Request) -> Writing:
        """A piece that is ready for its first token."""
        opening = self._opening(request)
        meter, before = opening.meter, opening.meter.copied()
        seat = self._seats.get(_place(request)) or self._found(request, opening)
        self._seats[_place(request)] = seat
        if seat.logits is None:
            seat.logits = Batch(opening.target.network, meter).step([seat.row], [seat.newest])[0]
        stream = Stream(
            seat.row.fork(),
            self._sampling(request),
            candidate=request.stream,
            limit=request.parent.tokens + request.most,
            ends=self.target.tokenizer.ends,
            written=list(request.parent.token_ids),
            meter=meter,
        )
        opens = request.first and not request.parent.tokens
        spent = meter.since(before).cost(0.0) if opens else Cost()
        told = opening.told() if opens and not request.parent.question else None
        # The newest token of its parent, where it is the first to go on from there.
        newest = int(request.first and not opens)
        past = tuple(entries - newest for entries in stream.row.lengths())
        return Writing(request, stream, seat.logits, spent, told, past, stream.row.next - newest)

    def _found(self, request: Request, opening: Opening) -> Seat:
        """The seat of a candidate that nobody wrote here: at the prompt, or read behind it."""
        reading, ids = opening.read(), request.parent.token_ids
        row = reading.row.fork()
        if not ids:
            return Seat(row, reading.logits)
        return Seat(row, Batch(opening.target.network, opening.meter).prefill(row, ids))

    def _sampling(self, request: Request) -> Sampling:
        given = request.temperature
        temperature = self.recipe.warmth if given is None else given
        return replace(sampling_of(self.recipe), seed=request.seed, temperature=temperature)

    def _step(self) -> list[Outcome]:
        """Read the newest tokens together, then choose one more for every piece."""
        self._read()
        for one in self._writing:
            if not one.finish:
                self._choose(one)
        ended = [one for one in self._writing if one.finish]
        self._writing = [one for one in self._writing if not one.finish]
        return [self._outcome(one) for one in ended]

    def _read(self) -> None:
        behind = [one for one in self._writing if one.logits is None and not one.finish]
        groups: dict[int, list[Writing]] = {}
        for one in behind:
            groups.setdefault(id(self._opening(one.request).target.network), []).append(one)
        for group in groups.values():
            network = self._opening(group[0].request).target.network
            parts = [
                Part(one.stream.row, one.stream.written[-1:], meter=one.stream.meter)
                for one in group
            ]
            logits = Batch(network, Meter(self.clock)).forward(parts, phase="decode")
            for one, row in zip(group, logits, strict=True):
                one.logits = row

    def _choose(self, one: Writing) -> None:
        stream = one.stream
        assert one.logits is not None
        choice = choose(one.logits, stream.sampling, stream.candidate, len(stream.written))
        one.logits = None
        one.log_probability += choice.log_probability
        if stream.take(choice):
            self._hear(one)
        one.finish = one.finish or stream.finish

    def _hear(self, one: Writing) -> None:
        """Whether the newest token ends the answer or the step."""
        request, before = one.request, one.request.parent.text
        seen = self.target.tokenizer.decode(one.stream.written)
        one.text = seen[len(before) :]
        stops = [seen.find(stop, max(0, len(before) - len(stop) + 1)) for stop in self.recipe.stop]
        found = [place for place in stops if place >= 0]
        if found:
            one.text, one.finish = seen[len(before) : min(found)], "stop"
        elif request.until == "step" and request.delimiter in one.text:
            one.finish = "step"

    def _outcome(self, one: Writing) -> Outcome:
        request, stream = one.request, one.stream
        fresh = tuple(stream.written[request.parent.tokens :])
        goes_on = one.finish in ("step", "length")
        # A letter that is not whole yet is said once the rest of it is there.
        text = one.text.rstrip("\N{REPLACEMENT CHARACTER}") if goes_on else one.text
        rest = one.text[len(text) :]
        if goes_on:
            where = (request.run, request.parent.question, request.path, len(stream.written))
            self._seats[where] = Seat(stream.row, None, stream.written[-1])
        piece = Piece(text, fresh, len(fresh), one.log_probability, one.finish, rest)
        return Outcome(request.key, self._cost(one, len(fresh)), piece, opened=one.opened)

    def _cost(self, one: Writing, tokens: int) -> Cost:
        """What a piece took: its own FLOPs, and of its run's traffic what is not told yet."""
        read = one.stream.row.next - one.start
        own = Meter(self.clock)
        own.forward(self.target.shape, 0, [(one.past, read)] if read else [], read, None)
        meter = self._meters[one.request.run]
        told = self._told.get(one.request.run, 0.0)
        self._told[one.request.run] = meter.bytes_moved
        return replace(
            one.spent,
            output_tokens=tokens,
            flops=one.spent.flops + own.flops,
            bytes_moved=meter.bytes_moved - told,
            peak_cache_bytes=meter.peak_cache_bytes,
        )


def _place(request: Request) -> Where:
    parent = request.parent
    return request.run, parent.question, parent.path, parent.tokens
