"""Where a search's pieces come from: what a back end is asked for, and what it tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forethought.contracts.questions import Question
from forethought.contracts.records import Cost, Kept, LimitKind
from forethought.contracts.search import Ability, Candidate, NextToken, Path, Piece, Until, Writer

Place = tuple[Writer, str, Path, int]
"""A text that pieces continue: its writer, question, path and tokens."""


@dataclass(frozen=True)
class Request:
    """A piece to be written, as a back end is asked for it."""

    key: str
    """The same in every run that asks for it, and no other's."""
    run: str
    """Whose it is; what one run was charged for, it may use again."""
    question: Question
    parent: Candidate
    path: Path
    """Of the candidate that the piece belongs to: the parent's, where it goes on with that."""
    seed: int
    stream: int
    """With the seed and the place of a token, all that its draw depends on."""
    until: Until
    delimiter: str
    temperature: float | None
    max_tokens: int
    """Tokens leased to it."""
    first: bool = True
    """Whether its run never asked for a piece behind this text before: it pays for reading the
    prompt, or the parent's newest token. For the others that was paid, whoever reads it."""
    token: int | None = None
    """The first token, where it is given and not drawn."""
    spare: float | None = None
    """US dollars that it may lose beside its lease, in replies that break off once they are paid;
    None where dollars are not limited."""
    top: int = 0
    """Above 0 nothing is written: so many of the tokens are told that may follow the parent."""

    @property
    def place(self) -> Place:
        """The text that the piece continues, as the model that writes it reads it."""
        parent = self.parent
        return parent.writer, parent.question, parent.path, parent.tokens


@dataclass(frozen=True)
class VerdictRequest:
    """Verdicts to be given, as a back end is asked for them."""

    key: str
    run: str
    questions: tuple[str, ...]
    choices: tuple[str, ...]
    behind: tuple[tuple[str, ...], ...] = ()
    """By question, what its run had judged before, each of which goes on from the one before it,
    and the question from the last: what both begin with was paid then, whoever reads it. Empty
    where a question is read from its start, or by another model than the run's own."""
    by: str = ""
    """The address of the model that gives them, where that is not the run's own."""


@dataclass(frozen=True)
class Opened:
    """What was found in reading a run's own prompt."""

    length: int
    """Its tokens, before anything was dropped."""
    kept: Kept
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RequestOutcome:
    """What became of a request."""

    key: str
    cost: Cost
    """What it took beyond what its run had been charged for."""
    piece: Piece | None = None
    chances: tuple[tuple[float, ...], ...] = ()
    opened: Opened | None = None
    """Told by the request that the prompt was read for."""
    error: Exception | None = None
    """Why there is nothing, in the end."""
    following: tuple[NextToken, ...] = ()
    """What may come next, the likeliest first."""
    seconds: float = 0.0
    """From when it was asked for, by the back end's clock; told by who drives it."""
    lost: Cost = field(default_factory=Cost)
    """What a server is known to have done for it in vain, or unasked: in no cost."""


@dataclass(frozen=True)
class TokenDelta:
    """A token of a plain answer, as it is decoded."""

    key: str
    """Of its request."""
    text: str
    """The text to show: none while it may belong to a stop string, or is half a character."""
    token: int
    log_probability: float
    top: tuple[tuple[int, str, float], ...] = ()
    """The likeliest tokens in its place: number, text and log-probability."""


@dataclass(frozen=True)
class PromptReady:
    """The prompt of a plain answer is prefilled."""

    key: str
    """Of the request that it was prefilled for."""
    opened: Opened
    stages: Mapping[str, float]
    """Seconds of each stage."""


BackendEvent = RequestOutcome | TokenDelta | PromptReady


@dataclass(frozen=True)
class CostBound:
    """The most that a request can take: something once, and something for each token."""

    once: Cost = field(default_factory=Cost)
    token: Cost = field(default_factory=lambda: Cost(output_tokens=1))


class Backend(Protocol):
    """Where tokens come from; any number of requests may be on their way."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can do."""
        ...

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for a kind of limit that it cannot hold; nothing is spent."""
        ...

    def submit(self, request: Request | VerdictRequest) -> None:
        """Begin a request; its outcome comes from `poll`."""
        ...

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """The most that each can take if they begin together, in this order."""
        ...

    def poll(self, until: float | None = None) -> Sequence[BackendEvent]:
        """Wait for events of the submitted requests: outcomes, and tokens of plain answers.

        Not beyond `until`, by the back end's clock: then there may be none.
        """
        ...

    def now(self) -> float:
        """What the back end's clock shows, in seconds."""
        ...

    def cancel(self, key: str) -> None:
        """End a request now; its outcome, with what was written so far, comes from `poll`."""
        ...

    def release(self, run: str) -> None:
        """Forget what was kept for a run."""
        ...
