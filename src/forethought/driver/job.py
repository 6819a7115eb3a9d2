"""Jobs for the driver, their events and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from forethought.contracts.backend import Opened, PromptReady, TokenDelta
from forethought.contracts.errors import ModelError
from forethought.contracts.questions import Question
from forethought.contracts.records import Cost
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Path,
    Reader,
    Scorer,
    Search,
    Strategy,
    write,
)
from forethought.contracts.spending import Decision
from forethought.cost.budget import Limit

Cut = Literal["", "budget", "context", "interrupted"]
"""The reason that a search ended early; empty if it did not."""


@dataclass(frozen=True)
class Job:
    """One question for one strategy."""

    run: str
    """The run's identifier: equal for equal recipe, question and seed, and for nothing else."""
    question: Question
    strategy: Strategy
    reader: Reader
    scorer: Scorer | None = None
    limit: Limit = field(default_factory=Limit)
    seed: int = 0
    max_tokens: int = 256
    """Maximum tokens of an answer."""
    key_namespace: str = ""
    """Prefix of the request keys. Jobs that ask the same model in the same way have equal
    namespaces, so that their requests are shared; empty for the run's own identifier."""
    plain: bool = False
    """Whether answers stream token by token, and the first one is the answer."""
    confidence: Mapping[str, Scorer] = field(default_factory=dict)
    """The methods that say how sure the answer is, by spelling."""

    @property
    def needs(self) -> frozenset[Ability]:
        """What the back end must be able to do."""
        return self.strategy.needs.union(*(one.needs for one in self.scorers))

    @property
    def scorers(self) -> tuple[Scorer, ...]:
        """The scorer of the search, if it has one, and the confidence methods."""
        return (*([self.scorer] if self.scorer else ()), *self.confidence.values())


@dataclass(frozen=True)
class PlainAnswer(Strategy):
    """Samples answers at the recipe's temperature; the first one is the answer."""

    n: int = 1

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Ask for all answers at once."""
        answers = yield from write([start] * self.n)
        return Found(answers[0], tuple(answers))


@dataclass(frozen=True)
class Streamed:
    """An event of a plain answer in progress."""

    run: str
    candidate: int
    event: TokenDelta | PromptReady


@dataclass(frozen=True)
class GrownCandidates:
    """Candidates that grew by a piece."""

    run: str
    candidates: Sequence[Candidate]


@dataclass(frozen=True)
class Decided:
    """A decision of a spending rule."""

    run: str
    decision: Decision


@dataclass(frozen=True)
class JobResult:
    """The result of a job."""

    job: Job
    cost: Cost
    found: Found | None = None
    error: BaseException | None = None
    """The error if the job failed; `cost` is what it spent until then."""
    written: int = 0
    """Number of children that were started."""
    opened: Opened | None = None
    """The result of the prefill; None if the back end does not report it."""
    cut: Cut = ""
    """The reason that the search ended early."""
    overflow: str = ""
    """The text that did not fit the model's context or a method's budget, as a message."""
    scores: Mapping[tuple[str, Path], float] = field(default_factory=dict)
    """The scorer's scores, by identity of the candidate."""
    seconds: float = 0.0
    """Seconds of its requests, including those of the replay log."""
    lost: Cost = field(default_factory=Cost)
    """Work that servers wasted or did unasked."""
    beyond: float = 0.0
    """US dollars charged above the leases."""

    @property
    def run(self) -> str:
        """The run's identifier."""
        return self.job.run

    @property
    def budget_spent(self) -> bool:
        """Whether the budget ended the search early."""
        return self.cut == "budget"


def checked_score(number: float) -> float:
    """The score, clamped to 0 to 1 against rounding; raises ModelError for any other number."""
    if not -1e-6 <= number <= 1 + 1e-6:  # NaN fails this comparison too
        raise ModelError(
            f"the scorer gave {number}, and scores go from 0 to 1",
            "use another scorer, or mend this one",
        )
    return min(max(float(number), 0.0), 1.0)


def merged(known: Opened | None, new: Opened | None) -> Opened | None:
    """The result of the target's fullest prefill, with the notes of both."""
    if known is None or new is None:
        return known or new
    fullest = max(known, new, key=lambda one: one.kept.prompt_tokens)
    return replace(fullest, notes=tuple(dict.fromkeys((*known.notes, *new.notes))))
