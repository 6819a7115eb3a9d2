"""The result of `compare` and `evaluate`: recipes on the same questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.contracts.published import Published


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan, math.nan)
"""The estimate of what nothing was measured of."""


@dataclass(frozen=True)
class Difference:
    """The score of one recipe minus another's, over the questions that both answered."""

    recipe: str
    against: str
    interval: Interval
    """Paired by question; the bootstrap resamples whole clusters."""
    p_value: float
    """Two-sided, for no difference; 1 if every pair is equal."""
    questions: int
    wins: int
    losses: int
    detectable: float
    """The minimum detectable effect at 80 % power with this many questions."""


@dataclass(frozen=True)
class Chances:
    """The score of a search's candidates under other selection rules."""

    random: float
    """A candidate chosen at random."""
    oracle: float
    """The best candidate, chosen by a perfect verifier: the upper bound of any scorer."""
    worst: float = math.nan
    """The worst candidate."""


@dataclass(frozen=True)
class DrawnAnswers:
    """The answers that a recipe draws for a question, and their tokens."""

    drawn: float
    """Mean answers per question, abandoned ones included."""
    most: int
    """Answers without an early stop; 0 for a recipe that never stops early."""
    spread: float
    """Standard deviation of the tokens of the answers to one question, a mean over questions;
    NaN if no question has two answers."""
    right: float
    """Mean tokens of right answers; NaN without one. An answer right in part counts in part."""
    wrong: float
    """Mean tokens of wrong answers; NaN without one."""


@dataclass(frozen=True)
class SubsampleCurve:
    """The score and cost with fewer answers than drawn, averaged over subsets."""

    answers: int
    score: float
    tokens: float
    flops: float


@dataclass(frozen=True)
class AnswerConfidence:
    """How well a confidence method tells right from wrong answers of a recipe."""

    method: str
    answers: int
    """Answers with this method."""
    silent: int
    """Answers about which the method says nothing."""
    calibrated: int
    """Answers whose number is calibrated."""
    auroc: Interval
    """NaN without a right or without a wrong answer; bounds are NaN below 20 questions."""
    error: Interval
    """The expected calibration error of the stated numbers; bounds as above."""
    level: float
    """The confidence from which an answer counts as given."""
    answered: float
    """The share of answers with at least this confidence."""
    score_answered: float
    """The mean score of those; NaN without any."""


@dataclass(frozen=True)
class RecipeResult:
    """The score and cost of one recipe."""

    recipe: str
    """The recipe's label."""
    questions: int
    score: Interval
    """Mean over tasks of the mean over questions."""
    tasks: Mapping[str, Interval]
    """By task."""
    cache_bytes: float
    """Mean bytes of the KV cache after prefill; NaN if the target did not prefill every question's
    own prompt, as in searches that write prompts of their own."""
    first_token: float
    """Median time to first token in seconds, as if each question ran alone."""
    flops: float
    """Mean FLOPs of a run, draft and scoring included. NaN for models on servers, as are the
    bytes and the time to first token."""
    read: float
    """Mean prompt tokens that the target prefilled."""
    frontier: frozenset[str] = frozenset()
    """The costs (cache_bytes, first_token, flops, tokens, usd) in which it is Pareto-optimal."""
    usd: float = math.nan
    """Mean US dollars of a run; NaN without a price."""
    tokens: float = math.nan
    """Mean tokens of a run: prompt, output, draft and scoring."""
    counted_from: str = ""
    """The recipe whose stored answers this result reuses; empty if it has its own."""
    chances: Chances | None = None
    """For a recipe with several answers to a question."""
    drawn: DrawnAnswers | None = None
    """For a recipe with several answers to a question."""
    fewer: tuple[SubsampleCurve, ...] = ()
    """Ascending by answers, for a search that draws independent answers."""
    published: Published = field(default_factory=Published)
    """Whether the recipe is as published."""
    unparsable: float = math.nan
    """The share of answers without a readable result. NaN for a counted recipe."""
    unscored: float = math.nan
    """The part of them that the score leaves out; the others count as wrong."""
    confidence: tuple[AnswerConfidence, ...] = ()
    """By method, for a recipe whose answers carry a confidence."""


@dataclass(frozen=True)
class AtBudget:
    """The score of a recipe within a budget."""

    recipe: str
    answers: int
    """0 if the budget does not cover one answer."""
    score: float | None
    """None without an answer."""
    tokens: float
    """Tokens spent; less than the budget if no more answers were drawn."""


@dataclass(frozen=True)
class EqualCost:
    """The scores of recipes at an equal number of tokens."""

    tokens: float
    afforded: tuple[AtBudget, ...]


@dataclass(frozen=True)
class Refusal:
    """A recipe that the comparison leaves out, since a question does not fit it."""

    recipe: str
    task: str
    question: str
    """The first question that does not fit."""
    reason: str
    """The error message, with the recipe's spelling."""
    hint: str


@dataclass(frozen=True)
class JudgedRecipe:
    """One recipe in a ranking by judges."""

    recipe: str
    score: Interval
    """The expected gold score, 90 %: doubt about the judges included."""
    best: float
    """Probability that no other recipe scores higher."""
    rank_low: int
    """The best rank of its 90 % interval; 1 is the first."""
    rank_high: int


@dataclass(frozen=True)
class JudgedRanking:
    """Recipes by the verdicts of judges that err."""

    recipes: tuple[JudgedRecipe, ...]
    judges: tuple[str, ...]
    copies: tuple[tuple[str, str], ...]
    """Judges with equal verdicts; the second of each pair is left out."""
    levels: int
    questions: int
    labels: int
    """Questions whose gold score was used."""
    sure: tuple[tuple[str, str], ...]
    """Pairs (better, worse) with probability 0.8 or more under every prior of the judges."""
    warning: str = ""
    """Why the ranking depends on the prior; empty if it does not."""


@dataclass(frozen=True)
class HoldoutChange:
    """The difference of a recipe's score to the first one's, as a reusable holdout answers it."""

    recipe: str
    change: float | None
    """None once the budget is spent."""
    charged: bool
    """Whether the answer came from the held-out half, which costs one of the budget."""


@dataclass(frozen=True)
class HoldoutChanges:
    """Answers of a reusable holdout (Thresholdout); all other figures are of the tuning half."""

    changes: tuple[HoldoutChange, ...]
    """Of every recipe but the first."""
    left: int
    """Charged answers that are left, for all commands on these questions together."""
    tuning: int
    """Questions of the tuning half."""
    holdout: int
    """Questions of the held-out half."""


@dataclass(frozen=True)
class Comparison:
    """Recipes on the same tasks."""

    standings: tuple[RecipeResult, ...]
    """In the order of the recipes."""
    differences: tuple[Difference, ...]
    """Every ordered pair of recipes."""
    tasks: tuple[str, ...]
    questions: int
    """Questions that every recipe answered."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Versions, hardware, date and command."""
    mixed: tuple[str, ...] = ()
    """The provenance fields that differ between samples."""
    refusals: tuple[Refusal, ...] = ()
    """Requested recipes that are not in `standings`."""
    notes: tuple[str, ...] = ()
    """Notes for the reader, in whole sentences."""
    equal: tuple[EqualCost, ...] = ()
    """Ascending by budget; only with searches that draw independent answers."""
    held_out: HoldoutChanges | None = None
    """With a reusable holdout only."""
    judged: JudgedRanking | None = None
    """With `--judged` only."""
