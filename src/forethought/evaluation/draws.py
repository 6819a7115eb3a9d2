"""Independent answers to a question, from stored searches or repeated samples."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from forethought import catalogue
from forethought.contracts.questions import Sample
from forethought.contracts.search import Candidate
from forethought.evaluation.token_rates import CostShares, TokenRates
from forethought.recipes.recipe import WARM, Recipe
from forethought.tasks.same_answers import SameAnswers

Check = Callable[[str, str], float]
"""Score of an answer (second argument) to the question with this identifier (first)."""
RIGHT = "right"
"""Field of a stored candidate that holds its score."""


@dataclass(frozen=True)
class Draws:
    """Independent answers of one recipe to one question."""

    question: str
    cluster: str
    right: tuple[float, ...]
    """Score of each answer, from 0 to 1."""
    answers: tuple[Candidate, ...]
    scores: tuple[float | None, ...]
    """Score that the run's scorer gave each answer; None if it did not see the answer."""
    tokens: CostShares
    """Mean over runs; a question may have several."""
    flops: CostShares
    runs: int
    """Number of runs."""

    @property
    def count(self) -> int:
        """Number of answers."""
        return len(self.right)

    @cached_property
    def groups(self) -> list[int | None]:
        """Group number of each answer; equal answers share a group."""
        return SameAnswers().group(self.answers)

    @property
    def likelihood(self) -> list[float] | None:
        """Mean log-probability per token of each answer; None if it was not stored."""
        if all(one.log_probability == 0.0 for one in self.answers):
            return None
        return [one.mean_log_probability for one in self.answers]

    @property
    def ranks(self) -> list[float] | None:
        """Scores by the scorer, -inf for answers that it did not see; None if it saw no answer."""
        if all(one is None for one in self.scores):
            return None
        return [-math.inf if one is None else one for one in self.scores]

    @property
    def cut(self) -> bool:
        """Whether an answer was cut short, so that the draws are not independent."""
        return any(not one.whole for one in self.answers)


@dataclass(frozen=True)
class Choices:
    """The answers to a question that a recipe chooses among."""

    right: tuple[float, ...]
    """Score of each answer, from 0 to 1."""
    tokens: tuple[int, ...]
    """Tokens of each answer."""
    drawn: int
    """Number of candidates, abandoned ones included."""


def temperature(run: Mapping[str, Any]) -> float:
    """The sampling temperature of a stored run."""
    usual = WARM if Recipe.parse(run["recipe"]).search else 0.0
    return float(run.get("settings", {}).get("temperature", usual))


def draws_alike(run: Mapping[str, Any]) -> bool:
    """Whether a stored run's answers are independent draws from one distribution.

    They are not at temperature 0.
    """
    search = Recipe.parse(run["recipe"]).search
    alike = not search or catalogue.build(search, "strategies").draws_alike
    return bool(alike) and temperature(run) > 0


def draws(samples: Sequence[Sample], check: Check, rates: TokenRates) -> list[Draws]:
    """The answers to each question; `samples` have one recipe and task, and draw alike."""
    by_question: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_question[sample.question].append(sample)
    return [_draws(same, check, rates) for _, same in sorted(by_question.items())]


def choices(samples: Sequence[Sample], check: Check) -> list[Choices]:
    """The answers of each run of a search, or of all plain runs of a question."""
    if not samples or not Recipe.parse(samples[0].run["recipe"]).search:
        by_question: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_question[sample.question].append(sample)
        return [_plain_choices(same) for same in by_question.values()]
    return [_choices(sample, check) for sample in samples]


def correctness(candidate: Mapping[str, Any], question: str, check: Check) -> float:
    """The stored score of a candidate; a candidate without one is judged."""
    kept = candidate.get(RIGHT)
    return check(question, candidate["text"]) if kept is None else float(kept)


def _plain_choices(samples: Sequence[Sample]) -> Choices:
    tokens = tuple(sample.run["cost"]["output_tokens"] for sample in samples)
    return Choices(tuple(sample.score for sample in samples), tokens, len(samples))


def _choices(sample: Sample, check: Check) -> Choices:
    candidates = answer_candidates(sample.run)
    found = [one for one in candidates if not one["pruned"]]
    right = tuple(correctness(one, sample.question, check) for one in found)
    return Choices(right, tuple(one["tokens"] for one in found), len(candidates))


def _draws(samples: Sequence[Sample], check: Check, rates: TokenRates) -> Draws:
    found = [one for sample in samples for one in _answers(sample, check)]
    costs = [sample.run["cost"] for sample in samples]
    return Draws(
        question=samples[0].question,
        cluster=samples[0].cluster,
        right=tuple(right for right, _, _ in found),
        answers=tuple(answer for _, answer, _ in found),
        scores=tuple(score for _, _, score in found),
        tokens=_mean([CostShares.of_tokens(cost) for cost in costs]),
        flops=_mean([rates.shares(cost) for cost in costs]),
        runs=len(samples),
    )


def _answers(sample: Sample, check: Check) -> Iterator[tuple[float, Candidate, float | None]]:
    run = sample.run
    if not Recipe.parse(run["recipe"]).search:
        tokens = run["cost"]["output_tokens"]
        answer = Candidate(
            path=(sample.number,), steps=(run["answer"],), tokens=tokens, finish=run["finish"]
        )
        yield sample.score, answer, None
        return
    for one in own_candidates(run):
        answer = Candidate(
            path=(sample.number, *one["path"]),
            steps=(one["text"],),
            tokens=one["tokens"],
            log_probability=one["log_probability"],
            scored_tokens=one.get("summed", 0),
            finish=one["finish"],
        )
        yield correctness(one, sample.question, check), answer, one["score"]


def answer_candidates(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Candidates of a search that answer the run's question, under any prompt."""
    return [one for one in run["candidates"] if "path" in one]


def own_candidates(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Candidates of a search that answer the run's question under its own prompt."""
    return [one for one in answer_candidates(run) if "question" not in one]


def _mean(shares: Sequence[CostShares]) -> CostShares:
    count = len(shares)
    return CostShares(
        math.fsum(one.once for one in shares) / count,
        math.fsum(one.answers for one in shares) / count,
        math.fsum(one.scoring for one in shares) / count,
    )
