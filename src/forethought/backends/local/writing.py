"""Pieces on their way on the engine of this machine, and what their tokens are counted as."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from forethought.backends.local.seats import Arrived, CachedCandidate
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import Request
from forethought.contracts.records import Cost
from forethought.contracts.search import Piece
from forethought.engine.decode import Stream
from forethought.engine.meter import Clock
from forethought.engine.sampling import certainty, choose, stated
from forethought.models.tokenization.tokenizer import Decoding


@dataclass
class PieceInProgress:
    """A piece on its way."""

    arrived: Arrived
    stream: Stream
    logits: Tensor | None
    """For its next token; None while the newest was not read."""
    decoding: Decoding
    matcher: StopMatcher
    text: str = ""
    shown: str = ""
    """The same without what may yet become a stop string."""
    log_probability: float = 0.0
    scored_tokens: int = 0
    certainty: float = 0.0
    finish: str = ""

    @property
    def request(self) -> Request:
        """What was asked for."""
        return self.arrived.request

    def choose(self) -> None:
        """Take one more token, and end where it ends the piece."""
        stream = self.stream
        assert self.logits is not None
        given = self.request.token if not self._fresh else None
        if given is None:
            choice = choose(self.logits, stream.sampling, stream.candidate, len(stream.written))
        else:
            choice = stated(self.logits, given)
        logits, self.logits = self.logits, None
        self.log_probability += choice.log_probability
        self.scored_tokens += 1
        if stream.take(choice):
            self.certainty += certainty(logits)
            self._hear(choice.token)
        self.finish = self.finish or stream.finish

    def _hear(self, token: int) -> None:
        """Whether the newest token ends the answer or the step."""
        fresh = self.decoding.push(token)
        self.text += fresh
        self.shown += self.matcher.feed(fresh)
        if self.matcher.stopped:
            self.text, self.finish = self.shown, "stop"
        elif self.stream.finish != "full" and self._ends_step:
            self.finish = "step"

    def cost(self, clock: Clock) -> Cost:
        """Its own tokens and FLOPs, and those of what was read for it."""
        read = self.arrived.reading(self.stream.steps, clock)
        return read.plus(written_by(self.request, self._fresh))

    def seat(self) -> CachedCandidate:
        """Where its last token can be gone on from."""
        row, before = None if self.request.max_tokens == 1 else self.stream.row, self.arrived.seat
        return CachedCandidate(
            row,
            None,
            self.stream.written[-1],
            None if row else before,
            root=before.root or before,
            alone=not any(self.request.path),
        )

    def piece(self) -> Piece:
        """What it came to."""
        fresh = tuple(self.stream.written[self.request.parent.tokens :])
        return Piece(
            text=self.text,
            token_ids=fresh,
            tokens=len(fresh),
            log_probability=self.log_probability,
            finish=self.finish,
            # A letter that is not whole yet is said once the rest of it is there.
            rest="" if self.matcher.stopped else self.decoding.finish(),
            certainty=self.certainty,
            scored_tokens=self.scored_tokens,
            back=self.matcher.back,
        )

    @property
    def _ends_step(self) -> bool:
        return self.request.until == "step" and self.request.delimiter in self.text

    @property
    def _fresh(self) -> int:
        return len(self.stream.written) - self.request.parent.tokens


def written_by(request: Request, tokens: int) -> Cost:
    """So many tokens of an answer, as what they are counted."""
    drafted = request.parent.writer == "draft"
    return Cost(draft_tokens=tokens) if drafted else Cost(output_tokens=tokens)


def read_by(request: Request, reading: Cost) -> Cost:
    """What reading a prompt took, its tokens as what they are counted."""
    if request.parent.writer == "target":
        return reading
    return replace(reading, prompt_tokens=0, draft_tokens=reading.prompt_tokens)
