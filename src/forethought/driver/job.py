"""What is given to be searched, and what comes back."""

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
    Candidate,
    Found,
    Path,
    Reader,
    Scorer,
    Search,
    Strategy,
    write,
)
from forethought.cost.budget import Limit

Cut = Literal["", "budget", "context", "interrupted"]
"""What ended a search before it had done all that it would have."""


@dataclass(frozen=True)
class Job:
    """One question for one strategy."""

    run: str
    """Names it: equal for the same recipe, question and seed, and for no others."""
    question: Question
    strategy: Strategy
    reader: Reader
    scorer: Scorer | None = None
    limit: Limit = field(default_factory=Limit)
    seed: int = 0
    max_tokens: int = 256
    """Most tokens of an answer."""
    key_namespace: str = ""
    """What its requests are named by, where they are the same as other searches' requests:
    equal for all that ask the same model in the same way; the run's own name where empty."""
    plain: bool = False
    """Whether its answers are shown as they are decoded, and the first is the answer."""


@dataclass(frozen=True)
class PlainAnswer(Strategy):
    """Answers at the recipe's own temperature; nothing chooses among them."""

    n: int = 1

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Write all of them."""
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
    """Candidates that grew."""

    run: str
    candidates: Sequence[Candidate]


@dataclass(frozen=True)
class JobResult:
    """What became of a job."""

    job: Job
    cost: Cost
    found: Found | None = None
    error: BaseException | None = None
    """Why there is nothing; what was spent until then is in `cost`."""
    written: int = 0
    """How many children were begun."""
    opened: Opened | None = None
    """What was found in reading the prompt; None where the back end does not tell."""
    cut: Cut = ""
    """What left something undone."""
    overflow: str = ""
    """What did not fit the model's context, or what a method may keep."""
    scores: Mapping[tuple[str, Path], float] = field(default_factory=dict)
    """What the scorer gave, by identity of the candidate."""
    seconds: float = 0.0
    """What its requests took, also those that were answered in an earlier run."""
    lost: Cost = field(default_factory=Cost)
    """What servers did in vain besides, or unasked."""
    beyond: float = 0.0
    """US dollars charged above what was leased."""

    @property
    def budget_spent(self) -> bool:
        """Whether the budget left something undone."""
        return self.cut == "budget"


def checked_score(number: float) -> float:
    """What a scorer gave, if that is one: from 0 to 1, but for rounding."""
    if not -1e-6 <= number <= 1 + 1e-6:  # what is no number is not within either
        raise ModelError(
            f"the scorer gave {number}, and scores go from 0 to 1",
            "use another scorer, or mend this one",
        )
    return min(max(float(number), 0.0), 1.0)


def merged(known: Opened | None, told: Opened | None) -> Opened | None:
    """What is known of the target's prompt: more, once the target has read it."""
    if known is None or told is None:
        return known or told
    fullest = known if known.kept.prompt_tokens else told
    return replace(fullest, notes=tuple(dict.fromkeys((*known.notes, *told.notes))))
