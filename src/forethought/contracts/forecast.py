"""The result of `forecast`: scores and costs of fewer and of more answers than stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.contracts.comparison import Interval


@dataclass(frozen=True)
class Reached:
    """The score of k answers to each question, by selection rule."""

    answers: int
    oracle: Interval
    """The best answer, chosen by an oracle: pass@k for answers that are right or wrong."""
    vote: Interval
    """Majority vote (self-consistency); ties share the credit."""
    likely: Interval | None
    """The answer of greatest likelihood; None without stored log-probabilities."""
    scored: Interval | None
    """The answer of greatest score; None without a scorer, or if it is the likelihood."""
    tokens: float
    """Mean tokens per question, with one prefill of the prompt."""
    flops: float
    scoring_tokens: float
    """Tokens that the scorer adds."""
    scoring_flops: float


@dataclass(frozen=True)
class Ahead:
    """The predicted coverage (pass@k) of more answers than drawn."""

    answers: int
    oracle: Interval
    """Uncertainty over questions; the interval assumes that the law holds this far out."""
    tokens: float
    flops: float


@dataclass(frozen=True)
class Further:
    """The belief about more answers than drawn: a broad simulated prior, given the drawn ones.

    Intervals are 90 %, for these questions.
    """

    answers: int
    oracle: Interval
    """Coverage (pass@k)."""
    vote: Interval
    """Majority vote; ties share the credit."""
    prior_driven: bool
    """Whether this is more than four times the answers drawn, so that the prior decides."""
    tokens: float
    flops: float


@dataclass(frozen=True)
class ChoiceAhead:
    """A choice among more answers than drawn, by the prior of learning curves alone."""

    answers: tuple[int, ...]
    """Ascending."""
    scores: tuple[Interval, ...]
    """90 %, at each number of answers."""
    gain: float
    """Probability that the greatest number scores a point more than the drawn answers."""


@dataclass(frozen=True)
class Unsolved:
    """Questions without a right answer among those drawn."""

    questions: int
    next: float
    """Probability that the next answer to such a question is right, a mean over them."""
    within: float
    """Probability that one of as many further answers as were drawn is right."""


@dataclass(frozen=True)
class Rival:
    """Several answers of the cheaper recipe, beside one answer of the dearer."""

    answers: int
    vote: Interval
    """90 %, as for `oracle`."""
    vote_ahead: float
    """Probability that the vote scores more than the dearer recipe."""
    oracle: Interval
    oracle_ahead: float
    """Probability that coverage is above the score of the dearer recipe."""
    flops: float
    prior_driven: bool


@dataclass(frozen=True)
class Economics:
    """A cheaper recipe with several answers against a dearer one with one, on one task."""

    cheaper: str
    dearer: str
    task: str
    questions: int
    """Questions that both answered."""
    score: Interval
    """One answer of the dearer recipe, 90 %."""
    flops: float
    """Of one answer of the dearer recipe."""
    rivals: tuple[Rival, ...]


@dataclass(frozen=True)
class Law:
    """The law exp(a k^b) of coverage, fitted to the drawn answers."""

    a: float
    b: float
    misfit: float
    """The maximum distance from the observed coverage, as a share."""
    ahead: tuple[Ahead, ...]


@dataclass(frozen=True)
class Attempts:
    """Sampling until an imperfect verifier accepts an answer, and its expected reward.

    An accepted answer earns 1 if it is right, and costs the penalty if it is wrong; each attempt
    costs its price. Intervals are 95 %, over questions.
    """

    false_positives: float
    """Share of wrong answers that the verifier accepts."""
    penalty: float
    best: int | None
    """The number of attempts with the greatest reward; None if reward grows without end."""
    reward: float
    """Expected reward per question at `best`."""
    right: float
    """Share of questions with a right answer accepted."""
    wrong: float
    """Share of questions with a wrong answer accepted."""
    tries: float
    """Mean attempts per question."""
    first: float
    """Expected reward of a single attempt."""
    completeness: float = 1.0
    """Share of right answers that the verifier accepts."""
    price: float = 0.0
    """Cost of an attempt."""
    fewest: int | None = None
    """Lower bound of `best`; None if reward grows without end there."""
    most: int | None = None
    """Upper bound of `best`; None if reward grows without end there."""
    reward_interval: Interval | None = None
    """The reward with its interval."""
    accepted: float = 1.0
    """Share of questions with an accepted answer."""
    first_right: float = math.nan
    """Probability that an answer accepted at the first attempt is right."""
    last_right: float = math.nan
    """The same at the last of the `best` attempts; NaN without a last one."""
    measured: bool = False
    """Whether the verifier's rates come from the stored scores of the scorer."""
    success: tuple[float, float] | None = None
    """a and b of the Beta law of success rates over questions, fitted to the drawn answers."""


@dataclass(frozen=True)
class Curve:
    """One recipe's independent answers to the questions of a task."""

    recipe: str
    task: str
    questions: int
    answers: int
    """Minimum answers drawn per question."""
    random: Interval
    """An answer chosen at random: pass@1."""
    reached: tuple[Reached, ...]
    """Ascending by number of answers."""
    scorer: str = ""
    law: Law | None = None
    no_law: str = ""
    """The reason for no law."""
    further: tuple[Further, ...] = ()
    """Ascending by number of answers."""
    surprise: float | None = None
    """Probability of counts as untypical of simulated questions as these; None without
    `further`."""
    attempts: Attempts | None = None
    no_attempts: str = ""
    """The reason for no attempts."""
    unsolved: Unsolved | None = None
    """None if every question has a right answer, or answers are right in part."""
    choices: Mapping[str, ChoiceAhead] = field(default_factory=dict)
    """Forecasts of `likely` and `scored`, with a network of learning curves."""
    no_choices: Mapping[str, str] = field(default_factory=dict)
    """The reason why one of them has no forecast."""


@dataclass(frozen=True)
class ForecastBin:
    """Questions of similar difficulty."""

    number: int
    """1 for the easiest."""
    questions: int
    success: float
    """Mean share of right answers."""
    best: str
    """The recipe with the greatest score in this bin."""
    score: float
    """Its score in this bin, biased upwards by the selection."""


@dataclass(frozen=True)
class Difficulty:
    """Questions of a task binned by difficulty, with the best recipe of each bin."""

    task: str
    sorted_by: str
    """The recipe whose answers estimate difficulty."""
    bins: tuple[ForecastBin, ...]
    recipes: tuple[str, ...]
    """Recipes that answered every question of the bins."""
    fixed: str = ""
    """The recipe with the greatest score over all bins."""
    fixed_score: float = 0.0
    adapted: float | None = None
    """The cross-validated score of the best recipe per bin; None without alternatives, or with
    too few questions."""


@dataclass(frozen=True)
class Forecast:
    """The forecast from the stored answers of some recipes."""

    curves: tuple[Curve, ...]
    difficulties: tuple[Difficulty, ...] = ()
    economics: tuple[Economics, ...] = ()
    notes: tuple[str, ...] = ()
    """What the forecast leaves out, and why."""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SimilarResult:
    """A past result that a description resembles."""

    task: str
    recipe: str
    score: float
    questions: int
    weight: float
    """From 0 for no common word to 1 for the same words."""


@dataclass(frozen=True)
class DescribedForecast:
    """A score expected from a description alone: a weak prior."""

    description: str
    score: Interval
    """90 %."""
    chance: float
    """The score of guessing that the description implies."""
    similar: tuple[SimilarResult, ...]
    """The most similar past results, the greatest weight first."""
    past: int
    """Past results in the results file."""
    error: float | None
    """Mean absolute error on each past result, left out; None for fewer than three."""
    mean_error: float | None
    """The same of the mean of the other past results."""
    enough_items: int | None
    """Evaluated items that would count as much as the prior; None if it is wider than one item."""
    seen: tuple[int, int] | None = None
    """Right answers and answers of a first look; None without one."""
    updated: Interval | None = None
    """The score after that look, 90 %; None without one."""
