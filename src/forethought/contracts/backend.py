"""The protocol of a back end: requests for text or verdicts, and their outcomes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forethought.contracts.candidates import Spans
from forethought.contracts.questions import Question
from forethought.contracts.records import Cost, Kept, LimitKind, PromptLogprobs
from forethought.contracts.search import (
    Ability,
    Candidate,
    ChoiceRule,
    NextToken,
    Path,
    Piece,
    ProbeOutput,
    Reading,
    Reread,
    Until,
    WorkerPlan,
    Writer,
)

Place = tuple[Writer, str, Path, int, Spans]
"""The prefix that a piece continues: its writer, question, path, number of tokens, and the parts
that its KV cache lacks."""


@dataclass(frozen=True)
class Request:
    """A request to continue a candidate by one piece."""

    key: str
    """Deterministic: equal requests in different runs have equal keys."""
    run: str
    """The run that asks. A run pays once for each prefix and may then reuse it."""
    question: Question
    parent: Candidate
    path: Path
    """The path of the candidate that receives the piece; the parent's own if it grows in place."""
    seed: int
    stream: int
    """Seed, stream and position determine the random draw of each token."""
    until: Until
    delimiter: str
    temperature: float | None
    max_tokens: int
    """The request's lease, in tokens."""
    first: bool = True
    """Whether this is the run's first request for this prefix. The first request pays for the
    prefill of the prompt, or of the parent's newest token; later requests do not."""
    token: int | None = None
    """The first token, if the caller gives it instead of sampling it."""
    spare: float | None = None
    """US dollars that retries may cost beyond the lease, since a reply that breaks off is paid;
    None without a limit in dollars."""
    top: int = 0
    """Above 0, nothing is decoded: the outcome lists this many top next tokens of the parent."""
    turn: str = ""
    """If given, nothing is decoded: the outcome has the probabilities of `choices` as the reply to
    this next turn of the user, behind the parent."""
    choices: tuple[str, ...] = ()
    reply: str = ""
    """The beginning of the reply to the turn."""
    rule: ChoiceRule = "word"
    """How the probability of a choice is read behind a turn."""
    keep: bool = False
    """Whether the cache of a finished answer is kept for later turns."""
    prefill_flops: float | None = None
    """Most FLOPs that the prefill of the prompt may take; None without a limit in FLOPs."""
    confident: bool = False
    """Whether the piece reports the confidence of each token."""
    reread: Reread | None = None
    """If given, nothing is decoded: the outcome has a reading of each text behind the parent."""
    adopted: Candidate | None = None
    """If given, nothing is decoded: the piece is the newest step of this candidate."""
    plan: WorkerPlan | None = None
    """If given, workers that share a cache write the piece."""

    @property
    def place(self) -> Place:
        """The prefix that the piece continues."""
        parent = self.parent
        return parent.writer, parent.question, parent.path, parent.tokens, parent.dropped


@dataclass(frozen=True)
class VerdictRequest:
    """A request for the probabilities of given answers."""

    key: str
    run: str
    questions: tuple[str, ...]
    choices: tuple[str, ...]
    behind: tuple[tuple[str, ...], ...] = ()
    """For each question, the prompts that this run has judged before, each a prefix of the next
    and the last a prefix of the question. Their prefill is already paid. Empty if the question
    starts anew, or if another model than the run's own judges it."""
    by: str = ""
    """The server address of the judging model; empty for the run's own model."""
    rule: ChoiceRule = "word"


@dataclass(frozen=True)
class Opened:
    """The result of the prefill of a run's own prompt."""

    length: int
    """Tokens of the prompt before any method drops some."""
    kept: Kept
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RequestOutcome:
    """The result of a request."""

    key: str
    cost: Cost
    """The cost that the run has not yet paid."""
    piece: Piece | None = None
    chances: tuple[tuple[float, ...], ...] = ()
    opened: Opened | None = None
    """Set by the request whose prefill read the prompt."""
    error: Exception | None = None
    """The failure after all retries; None on success."""
    following: tuple[NextToken, ...] = ()
    """The top next tokens, most probable first."""
    seconds: float = 0.0
    """Seconds since submission, by the back end's clock; the driver fills it in."""
    lost: Cost = field(default_factory=Cost)
    """Work that a server wasted or did unasked; no cost includes it."""
    readings: tuple[Reading, ...] = ()
    """The readings of the texts of a request."""
    probed: tuple[ProbeOutput, ...] = ()
    """Beside the top next tokens: the outputs of the run's probes at the end of the prompt."""


UNKNOWN_TOKEN = -1
"""The id of a token that a server does not tell."""


@dataclass(frozen=True)
class TokenDelta:
    """A token of a plain answer, as it is decoded; a server may send several at once."""

    key: str
    """The key of its request."""
    text: str
    """The text to show; empty while it may belong to a stop string, or is half a character."""
    token: int
    log_probability: float
    top: tuple[tuple[int, str, float], ...] = ()
    """The top tokens at this position: id, text and log-probability."""
    reasoning: bool = False
    """Whether the token belongs to the reasoning of a model that thinks, its marks included."""


@dataclass(frozen=True)
class PromptReady:
    """The prompt of a plain answer is prefilled."""

    key: str
    """The key of its request."""
    opened: Opened
    stages: Mapping[str, float]
    """Seconds of each stage."""
    logprobs: PromptLogprobs | None = None
    """The log-probabilities of the prompt, if the run asks for them."""


BackendEvent = RequestOutcome | TokenDelta | PromptReady


@dataclass(frozen=True)
class CostBound:
    """An upper bound on the cost of a request: a fixed part, and a part for each token."""

    once: Cost = field(default_factory=Cost)
    token: Cost = field(default_factory=lambda: Cost(output_tokens=1))
    least: Cost | None = None
    """A lower bound on the fixed part, if the back end stops it at a limit; else None."""
    fits: bool = True
    """Whether the prompt fits the model's context, as far as its length tells."""


class Backend(Protocol):
    """A source of tokens that serves any number of requests at once."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """The abilities that strategies and scorers may rely on."""
        ...

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for a kind of limit that it cannot enforce; nothing is spent."""
        ...

    def submit(self, request: Request | VerdictRequest) -> None:
        """Start a request; `poll` returns its outcome."""
        ...

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """An upper bound for each request if they start together, in this order."""
        ...

    def poll(self, until: float | None = None) -> Sequence[BackendEvent]:
        """Wait for events of the submitted requests: outcomes, and tokens of plain answers.

        Returns an empty list once the back end's clock passes `until`.
        """
        ...

    def now(self) -> float:
        """The back end's clock, in seconds."""
        ...

    def cancel(self, key: str) -> None:
        """Stop a request; `poll` returns its outcome with the text decoded so far."""
        ...

    def release(self, run: str) -> None:
        """Free the cache entries of a run."""
        ...
