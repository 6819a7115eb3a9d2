"""Candidates in progress, their requests and the keys of these."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from forethought.backends.verdict_prefixes import VerdictPrefixes
from forethought.contracts.backend import Place, Request, VerdictRequest
from forethought.contracts.candidates import joined, newest, shortened, total
from forethought.contracts.search import Candidate, Path, Piece, Verdict, Write
from forethought.driver.job import Job


@dataclass
class PendingCandidate:
    """A candidate in progress: its parent, and its pieces so far."""

    parent: Candidate
    child: int
    ask: Write
    wanted: int
    """Maximum tokens to decode."""
    over: str
    """The finish reason; empty while it is in progress."""
    leased: int = 0
    """Tokens that its latest request may decode."""
    pieces: list[Piece] = field(default_factory=list)
    token: int | None = None
    """The first token, if the strategy gives it."""

    @property
    def left(self) -> int:
        """Tokens that may still be decoded."""
        return self.wanted - sum(piece.tokens for piece in self.pieces)

    @property
    def so_far(self) -> Candidate:
        """The candidate that the next piece continues."""
        return self.parent.grown(self.child, self._joined("step")) if self.pieces else self.parent

    def result(self) -> Candidate:
        """The child, or the parent itself if it is finished."""
        return self.parent if self.parent.done else self.parent.grown(self.child, self._joined())

    def interrupted(self) -> Candidate:
        """The child of an interrupted search, whose finish reason is not the budget."""
        self.over = "" if self.over == "budget" else self.over
        return self.result()

    def ended(self, piece: Piece, longest: int) -> str:
        """The finish reason after its latest piece; empty if it continues."""
        if piece.finish == "cancelled":
            return "budget"
        if piece.finish == "full":
            # A part of an intermediate text is of no use. JSON shows itself whether it is whole.
            inside = self.parent.question and not self.parent.schema
            return "budget" if inside else "length"
        if piece.finish == "step" and self.so_far.tokens >= longest:
            return "length"
        if piece.finish != "length":
            return piece.finish
        if piece.tokens < self.leased:
            return "length"  # the model's context is full
        if self.left:
            # The lease was short, and the next one may be longer; workers cannot be resumed.
            return "" if self.ask.plan is None else "budget"
        return "length" if self.so_far.tokens >= longest else "step"

    def _joined(self, finish: str = "") -> Piece:
        ended = finish or self.over
        rest = self.pieces[-1].rest if self.pieces and ended != "step" else ""
        texts: tuple[str, ...] = ()
        back = 0
        for piece in self.pieces:
            back += max(0, piece.back - sum(map(len, texts)))
            texts = (*shortened(texts, piece.back), piece.text)
        return Piece(
            text="".join(texts) + rest,
            token_ids=tuple(token for piece in self.pieces for token in piece.token_ids),
            tokens=sum(piece.tokens for piece in self.pieces),
            log_probability=sum(piece.log_probability for piece in self.pieces),
            finish=ended,
            certainty=total(piece.certainty for piece in self.pieces),
            scored_tokens=sum(piece.scored_tokens for piece in self.pieces),
            reasoning_tokens=sum(piece.reasoning_tokens for piece in self.pieces),
            token_confidences=joined(piece.token_confidences for piece in self.pieces),
            probed=newest(piece.probed for piece in self.pieces),
            back=back,
        )


def pending_children(
    ask: Write, children: Counter[tuple[str, Path]], longest: int
) -> list[PendingCandidate]:
    """A pending candidate for each child of the ask; numbers it among its parent's `children`."""
    given = ask.tokens or (None,) * len(ask.parents)
    return [
        _pending_child(ask, parent, token, children, longest)
        for parent, token in zip(ask.parents, given, strict=True)
    ]


def _pending_child(
    ask: Write,
    parent: Candidate,
    token: int | None,
    children: Counter[tuple[str, Path]],
    longest: int,
) -> PendingCandidate:
    if parent.done:
        return PendingCandidate(parent, 0, ask, 0, parent.finish)
    child = children[parent.identity]
    children[parent.identity] += 1
    room = longest - parent.tokens
    wanted = room if ask.max_tokens is None else min(room, ask.max_tokens)
    return PendingCandidate(parent, child, ask, wanted, "", token=token)


def piece_request(job: Job, pending: PendingCandidate) -> Request:
    """The request for a candidate's next piece; its lease sets key and tokens."""
    ask = pending.ask
    return Request(
        key="",
        run=job.run,
        question=job.question,
        parent=pending.so_far,
        path=(*pending.parent.path, pending.child),
        seed=job.seed,
        stream=stream_of(pending.parent, pending.child),
        until=ask.until,
        delimiter=ask.delimiter,
        temperature=ask.temperature,
        max_tokens=pending.left,
        token=None if pending.pieces else pending.token,
        keep=job.strategy.follows_up,
        confident="token-confidence" in job.needs,
        plan=ask.plan,
    )


def verdict_request(
    job: Job, ask: Verdict, prefixes: VerdictPrefixes
) -> tuple[VerdictRequest, VerdictPrefixes]:
    """The request for an ask's verdicts, and the prefixes that the run has judged after it."""
    extended = prefixes.copy()
    # Another model has not prefilled the prompts of this run.
    behind = () if ask.by else tuple(extended.add(one) for one in ask.questions)
    rule = () if ask.rule == "word" else (ask.rule,)
    named = repr((job.run, "verdict", ask.questions, ask.choices, behind, ask.by, *rule))
    return VerdictRequest(
        hashed(named), job.run, ask.questions, ask.choices, behind, ask.by, ask.rule
    ), extended


def mark_first(requests: Iterable[Request], prefixes: Collection[Place]) -> list[Request]:
    """The requests, with `first` set on the first one for each prefix."""
    found: list[Request] = []
    known = set(prefixes)
    for request in requests:
        found.append(replace(request, first=request.place not in known))
        known.add(request.place)
    return found


def stream_of(parent: Candidate, child: int) -> int:
    """The random stream of a child, which no other child of the run has.

    A first child continues its parent's stream. So a search that always takes first children
    samples the tokens of a plain answer.
    """
    path = (*parent.path, child)
    while len(path) > 1 and path[-1] == 0:
        path = path[:-1]
    if len(path) == 1 and not parent.question:
        return path[0]
    named = repr((parent.question, path))
    return int.from_bytes(hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:7])


def request_key(namespace: str, request: Request, tokens: int) -> str:
    """The key of a request: the namespace, and everything in which its requests differ.

    The key holds the parent's text, because two searches may reach different texts on the same
    path.
    """
    parent = request.parent
    place = (parent.question, parent.text, parent.token_ids, request.path, request.stream)
    drawn = (request.until, request.delimiter, request.temperature, tokens, request.first)
    more = (*(("confident",) if request.confident else ()), *_reread(request))
    how = (
        *drawn,
        request.token,
        request.top,
        *_turn(request),
        *more,
        *_adopted(request),
        *_plan(request),
        *_formed(parent),
    )
    # The target has no name here, so its requests have equal keys with and without a draft.
    whose = () if parent.writer == "target" else (parent.writer,)
    return hashed(repr((namespace, place, how, *whose)))


def _turn(request: Request) -> tuple[object, ...]:
    if not request.turn:
        return ()
    word = not request.reply and request.rule == "word"
    return (request.turn, request.choices, *(() if word else (request.reply, request.rule)))


def _adopted(request: Request) -> tuple[object, ...]:
    step = request.adopted
    if step is None:
        return ()
    return "adopted", step.writer, step.text, step.token_ids, step.lengths[-1:], step.finish


def _plan(request: Request) -> tuple[object, ...]:
    return () if request.plan is None else ("workers", request.plan)


def _formed(parent: Candidate) -> tuple[object, ...]:
    formed = parent.schema or parent.dropped
    return ("formed", parent.schema, parent.dropped) if formed else ()


def _reread(request: Request) -> tuple[object, ...]:
    asked = request.reread
    return () if asked is None else ("reread", asked)


def hashed(text: str) -> str:
    """A hash of fixed length."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
