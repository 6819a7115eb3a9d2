"""Candidates on their way, and what their requests are called."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from forethought.backends.verdict_prefixes import VerdictPrefixes
from forethought.contracts.backend import Place, Request, VerdictRequest
from forethought.contracts.candidates import shortened, total
from forethought.contracts.search import Candidate, Path, Piece, Verdict, Write
from forethought.driver.job import Job


@dataclass
class PendingCandidate:
    """A candidate on its way: what it grows from, and the pieces it has so far."""

    parent: Candidate
    child: int
    ask: Write
    wanted: int
    """Most tokens to write."""
    over: str
    """How it ended; empty while it is on its way."""
    leased: int = 0
    """Tokens that its newest request may write."""
    pieces: list[Piece] = field(default_factory=list)
    token: int | None = None
    """The first one, where it is given."""

    @property
    def left(self) -> int:
        """Tokens that may still be written."""
        return self.wanted - sum(piece.tokens for piece in self.pieces)

    @property
    def so_far(self) -> Candidate:
        """What the next piece is written behind."""
        return self.parent.grown(self.child, self._joined("step")) if self.pieces else self.parent

    def result(self) -> Candidate:
        """The child, or the parent where nothing could be added."""
        return self.parent if self.parent.done else self.parent.grown(self.child, self._joined())

    def interrupted(self) -> Candidate:
        """The same, where an interruption and no budget ended what was not over."""
        self.over = "" if self.over == "budget" else self.over
        return self.result()

    def ended(self, piece: Piece, longest: int) -> str:
        """How it ended with its newest piece; empty where it goes on."""
        if piece.finish == "cancelled":
            return "budget"
        if piece.finish == "full":
            # Of a text on the way to an answer a part is of no use.
            return "budget" if self.parent.question else "length"
        if piece.finish == "step" and self.so_far.tokens >= longest:
            return "length"
        if piece.finish != "length":
            return piece.finish
        if piece.tokens < self.leased:
            return "length"  # the model's context is full
        if self.left:
            return ""  # its lease was short: there may be more
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
            back=back,
        )


def pending_children(
    ask: Write, children: Counter[tuple[str, Path]], longest: int
) -> list[PendingCandidate]:
    """A pending for each child that is asked for; each is counted among its parent's `children`."""
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
    """What is asked for next of a candidate; its key and its tokens come with its lease."""
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
    )


def verdict_request(
    job: Job, ask: Verdict, prefixes: VerdictPrefixes
) -> tuple[VerdictRequest, VerdictPrefixes]:
    """What is asked for where verdicts are to be given, and what the run has `read` then."""
    then = prefixes.copy()
    # What another model judges, the run's own has not read.
    behind = () if ask.by else tuple(then.add(one) for one in ask.questions)
    named = repr((job.run, "verdict", ask.questions, ask.choices, behind, ask.by))
    asked = VerdictRequest(hashed(named), job.run, ask.questions, ask.choices, behind, ask.by)
    return asked, then


def mark_first(requests: Iterable[Request], prefixes: Collection[Place]) -> list[Request]:
    """The same, those known as first that are the first behind their text."""
    found: list[Request] = []
    known = set(prefixes)
    for request in requests:
        found.append(replace(request, first=request.place not in known))
        known.add(request.place)
    return found


def stream_of(parent: Candidate, child: int) -> int:
    """What tells a child's draws from all others of its run.

    A first child goes on with its parent's stream, so that a search which always takes first
    children draws what plain sampling draws.
    """
    path = (*parent.path, child)
    while len(path) > 1 and path[-1] == 0:
        path = path[:-1]
    if len(path) == 1 and not parent.question:
        return path[0]
    named = repr((parent.question, path))
    return int.from_bytes(hashlib.sha256(named.encode("utf-8", "surrogatepass")).digest()[:7])


def request_key(named: str, request: Request, tokens: int) -> str:
    """Names a request by who may ask it, and by what of it may differ among those.

    Its parent's text is part of it: two searches may come to another text on the same path.
    """
    parent = request.parent
    place = (parent.question, parent.text, parent.token_ids, request.path, request.stream)
    drawn = (request.until, request.delimiter, request.temperature, tokens, request.first)
    how = (*drawn, request.token, request.top)
    # The target is not named, so that its pieces go by the names they had without a draft.
    whose = () if parent.writer == "target" else (parent.writer,)
    return hashed(repr((named, place, how, *whose)))


def hashed(named: str) -> str:
    """A name of fixed length for what was named."""
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
