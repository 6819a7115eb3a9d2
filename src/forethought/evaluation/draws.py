"""Independent answers to a question, found in what is kept of runs: of a search, or of samples."""

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
"""How right an answer (the second) to a question, by its identifier, is."""
RIGHT = "right"
"""Where a candidate of a kept run holds how right it is."""


@dataclass(frozen=True)
class Draws:
    """Independent answers of one recipe to one question."""

    question: str
    cluster: str
    right: tuple[float, ...]
    """How right each is, from 0 to 1."""
    answers: tuple[Candidate, ...]
    scores: tuple[float | None, ...]
    """By the run's scorer; None where it was not shown the answer."""
    tokens: CostShares
    """Mean by run; a question may have been asked more than once."""
    flops: CostShares
    runs: int
    """How many there were."""

    @property
    def count(self) -> int:
        """How many answers."""
        return len(self.right)

    @cached_property
    def groups(self) -> list[int | None]:
        """Which say the same."""
        return SameAnswers().group(self.answers)

    @property
    def likelihood(self) -> list[float] | None:
        """A token's mean log-probability in each; None where it was not kept."""
        if all(one.log_probability == 0.0 for one in self.answers):
            return None
        return [one.mean_log_probability for one in self.answers]

    @property
    def ranks(self) -> list[float] | None:
        """The scorer's numbers, least where it was not shown an answer; None without any."""
        if all(one is None for one in self.scores):
            return None
        return [-math.inf if one is None else one for one in self.scores]

    @property
    def cut(self) -> bool:
        """Whether a budget or a stop cut one short: then they tell nothing of others."""
        return any(not one.whole for one in self.answers)


@dataclass(frozen=True)
class Choices:
    """What the answers that a search chose among would have come to, had others chosen."""

    random: float
    oracle: float


def temperature(run: Mapping[str, Any]) -> float:
    """What a kept run's answers were drawn at."""
    usual = WARM if Recipe.parse(run["recipe"]).search else 0.0
    return float(run.get("settings", {}).get("temperature", usual))


def draws_alike(run: Mapping[str, Any]) -> bool:
    """Whether a kept run's answers are independent draws of one law, at a temperature above 0."""
    search = Recipe.parse(run["recipe"]).search
    alike = not search or catalogue.build(search, "strategies").draws_alike
    return bool(alike) and temperature(run) > 0


def draws(samples: Sequence[Sample], check: Check, rates: TokenRates) -> list[Draws]:
    """The answers to each question among samples of one recipe and task that draw alike."""
    by_question: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_question[sample.question].append(sample)
    return [_draws(same, check, rates) for _, same in sorted(by_question.items())]


def choices(sample: Sample, check: Check) -> Choices | None:
    """What was to be had among a search's answers; None where there was no choice."""
    found = [one for one in written(sample.run) if not one["pruned"]]
    if len(found) < 2:
        return None
    right = [how_right(one, sample.question, check) for one in found]
    return Choices(math.fsum(right) / len(right), max(right))


def how_right(candidate: Mapping[str, Any], question: str, check: Check) -> float:
    """How right a candidate is, as it was kept, or else judged now."""
    kept = candidate.get(RIGHT)
    return check(question, candidate["text"]) if kept is None else float(kept)


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
    for one in written(run):
        answer = Candidate(
            path=(sample.number, *one["path"]),
            steps=(one["text"],),
            tokens=one["tokens"],
            log_probability=one["log_probability"],
            scored_tokens=one.get("summed", 0),
            finish=one["finish"],
        )
        yield how_right(one, sample.question, check), answer, one["score"]


def written(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a search wrote in answer to the run's own question."""
    return [one for one in run["candidates"] if "path" in one and "question" not in one]


def _mean(shares: Sequence[CostShares]) -> CostShares:
    count = len(shares)
    return CostShares(
        math.fsum(one.once for one in shares) / count,
        math.fsum(one.answers for one in shares) / count,
        math.fsum(one.scoring for one in shares) / count,
    )
