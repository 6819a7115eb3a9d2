"""What kept answers tell of fewer and of more of them: what `forecast` finds and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.contracts.comparison import Interval


@dataclass(frozen=True)
class Reached:
    """What so many answers to each question come to, by how one of them is chosen."""

    answers: int
    oracle: Interval
    """By one who knows which is best: where answers are right or wrong, pass@k."""
    vote: Interval
    """What most of them say; equal counts share the credit."""
    likely: Interval | None
    """The likeliest by the model itself; None where its chances were not kept."""
    scored: Interval | None
    """The best by the run's scorer; None without one, or where that is the likelihood."""
    tokens: float
    """Mean tokens a question, the prompt read once."""
    flops: float
    scoring_tokens: float
    """What the scorer adds."""
    scoring_flops: float


@dataclass(frozen=True)
class Ahead:
    """What more answers than were drawn are foreseen to reach, by one who knows which is right."""

    answers: int
    oracle: Interval
    """Over which questions were drawn; that the law holds so far out is assumed."""
    tokens: float
    flops: float


@dataclass(frozen=True)
class Law:
    """Coverage of exp(a k^b), fitted to the answers that were drawn."""

    a: float
    b: float
    misfit: float
    """The greatest distance from what was seen, as a share."""
    ahead: tuple[Ahead, ...]


@dataclass(frozen=True)
class Attempts:
    """Drawing until a verifier accepts: what it is worth that lets some wrong answers pass.

    An accepted answer is worth 1 where it is right, and costs the penalty where it is wrong.
    """

    false_positives: float
    """Share of wrong answers that pass; all right ones do."""
    penalty: float
    best: int | None
    """Attempts worth most; None where more are always worth more."""
    reward: float
    """What those are worth a question."""
    right: float
    """Share of questions with a right answer accepted by then."""
    wrong: float
    """With a wrong one accepted."""
    tries: float
    """Attempts made on average."""
    first: float
    """What a single attempt is worth."""


@dataclass(frozen=True)
class Curve:
    """One recipe's independent answers to the questions of a task."""

    recipe: str
    task: str
    questions: int
    answers: int
    """Drawn for each question, at least."""
    random: Interval
    """One answer taken blindly: pass@1."""
    reached: tuple[Reached, ...]
    """By how many of the answers, ascending."""
    scorer: str = ""
    law: Law | None = None
    no_law: str = ""
    """Why there is none."""
    attempts: Attempts | None = None
    no_attempts: str = ""
    """Why there are none."""


@dataclass(frozen=True)
class ForecastBin:
    """Questions that are about equally hard."""

    number: int
    """1 for the easiest."""
    questions: int
    success: float
    """Mean share of right answers."""
    best: str
    """The recipe of the greatest score here."""
    score: float
    """Its score here, which is flattered by having been chosen for it."""


@dataclass(frozen=True)
class Difficulty:
    """Questions of one task by how often they are answered rightly, and what suits each kind."""

    task: str
    sorted_by: str
    """The recipe whose answers tell how hard a question is."""
    bins: tuple[ForecastBin, ...]
    recipes: tuple[str, ...]
    """All that answered every question of the bins."""
    fixed: str = ""
    """The recipe that does best on all of them."""
    fixed_score: float = 0.0
    adapted: float | None = None
    """The score where each bin has the recipe chosen for it on its other questions; None where
    there is nothing to choose, or too few questions."""


@dataclass(frozen=True)
class Forecast:
    """What the kept answers of some recipes tell."""

    curves: tuple[Curve, ...]
    difficulties: tuple[Difficulty, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    provenance: Mapping[str, str] = field(default_factory=dict)
