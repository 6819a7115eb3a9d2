"""The strategy matrix of stored answers: scores, tokens and difficulty signs by question."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample, Task
from forethought.contracts.search import Strategy
from forethought.evaluation.draws import Draws, draws, draws_alike, temperature
from forethought.evaluation.fitting import StrategyMatrix
from forethought.evaluation.judge import AnswerJudge
from forethought.evaluation.replay import replayed
from forethought.evaluation.task_scores import check_same_questions, scores_by_task
from forethought.evaluation.token_rates import TokenRates, all_tokens
from forethought.numerics.difficulty import signs
from forethought.recipes.recipe import Recipe
from forethought.storage.location import no_answers

Notes = dict[str, None]


def without_search(recipe: Recipe) -> str:
    """Spelling of a recipe without draft and search: model and methods."""
    return replace(recipe, draft=Recipe.draft, search="", scorer="").spelling


@dataclass(frozen=True)
class StrategyOutcome:
    """Score and cost of one strategy on one question."""

    score: float
    tokens: float
    probed: float
    """Tokens after a probe, probe included."""


@dataclass
class StoredSamples:
    """Stored samples of one task, of recipes that differ only in their search."""

    task: str
    made: Task
    samples: Sequence[Sample]
    recipe: Recipe

    @cached_property
    def by_label(self) -> Mapping[str, list[Sample]]:
        """The samples of each recipe, by label."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            found[sample.recipe].append(sample)
        return found

    @cached_property
    def drawn(self) -> Mapping[str, Draws]:
        """Draws by question, of the recipe with most independent answers."""
        sources = [some for some in self.by_label.values() if draws_alike(some[0].run)]
        return max(map(self._drawn, sources), key=_size, default={})

    def _drawn(self, samples: Sequence[Sample]) -> Mapping[str, Draws]:
        judge = AnswerJudge(self.made, self.recipe)
        known = [sample for sample in samples if judge.knows(sample)]
        if not known:
            return {}
        found = draws(known, judge.check, TokenRates.of([one.run for one in known]))
        return {one.question: _in_order(one) for one in found if not one.cut}

    def outcomes(self, recipe: Recipe, probe: int, notes: Notes) -> Mapping[str, StrategyOutcome]:
        """A strategy's outcome by question: from its stored runs, or else by replay."""
        label = self._label(recipe, notes)
        if label:
            return self._from_runs(label, probe)
        notes[f"{self.task}: {recipe.search} was counted from stored answers"] = None
        return self._by_replay(catalogue.build(recipe.search, "strategies"), probe)

    def _label(self, recipe: Recipe, notes: Notes) -> str:
        """The label of a strategy's stored runs; of several, the one with most questions."""
        names = [
            label
            for label, some in self.by_label.items()
            if some[0].run["recipe"] == recipe.spelling
            or (recipe.search == "greedy" and _is_plain(some[0]))
        ]
        if len(names) > 1:
            names.sort(key=lambda name: -len({one.question for one in self.by_label[name]}))
            notes[f"{self.task}: of {', '.join(names)} the first was taken"] = None
        return next(iter(names), "")

    def _from_runs(self, label: str, probe: int) -> Mapping[str, StrategyOutcome]:
        samples = self.by_label[label]
        answers = scores_by_task(label, samples, [self.task])
        check_same_questions({label: answers})
        alike = bool(Recipe.parse(samples[0].run["recipe"]).search) and draws_alike(samples[0].run)
        spent: dict[str, list[float]] = defaultdict(list)
        drawn: dict[str, int] = {}
        for sample in samples:
            spent[sample.question].append(all_tokens(sample.run["cost"]))
            drawn[sample.question] = len(sample.run["candidates"]) if alike else 0
        found = {}
        for question, score in answers[self.task].scores.items():
            tokens = math.fsum(spent[question]) / len(spent[question])
            # A vote reuses the probe's answers; other strategies cannot.
            left = self._probe_tokens(question, drawn[question], probe)
            found[question] = StrategyOutcome(score, tokens, tokens + left)
        return found

    def _by_replay(self, strategy: Strategy, probe: int) -> Mapping[str, StrategyOutcome]:
        found = {}
        for question, one in self.drawn.items():
            if (chosen := replayed(strategy, one.answers)) is None:
                return {}
            place, drawn = chosen
            sizes = [answer.tokens for answer in one.answers]
            once = one.tokens.once
            both = sum(sizes[: max(drawn, probe)])
            found[question] = StrategyOutcome(
                one.right[place], once + sum(sizes[:drawn]), once + both
            )
        return found

    def _probe_tokens(self, question: str, used: int, probe: int) -> float:
        """Tokens of the probe's answers after the first `used` ones."""
        one = self.drawn.get(question)
        return sum(answer.tokens for answer in one.answers[used:probe]) if one else 0.0


def strategy_matrix(
    stored: Sequence[StoredSamples], recipes: Sequence[Recipe], probe: int, file: Path, notes: Notes
) -> StrategyMatrix:
    """All strategies on the questions that have the probe and every strategy's outcome."""
    rows = [row for one in stored for row in _rows(one, recipes, probe, file, notes)]
    order = sorted(range(len(recipes)), key=lambda at: sum(row[at].tokens for _, row in rows))
    found = [[row[at] for _, row in rows] for at in order]
    probe_signs = [_signs(one, probe) for one, _ in rows]
    return StrategyMatrix(
        strategies=tuple(recipes[at].search for at in order),
        signs=tuple(probe_signs),
        clusters=tuple(one.cluster for one, _ in rows),
        scores=np.array([[outcome.score for outcome in row] for row in found]),
        tokens=np.array([[outcome.tokens for outcome in row] for row in found]),
        routed=np.array([[outcome.probed for outcome in row] for row in found]),
    )


def _rows(
    stored: StoredSamples, recipes: Sequence[Recipe], probe: int, file: Path, notes: Notes
) -> Iterator[tuple[Draws, list[StrategyOutcome]]]:
    probed = {name: one for name, one in stored.drawn.items() if one.count >= probe}
    if not probed:
        why = f", whose first {probe} tell how hard a question is"
        raise _missing(stored, [f"majority-vote(n={max(probe, 8)})"], file, why)
    outcomes = [stored.outcomes(recipe, probe, notes) for recipe in recipes]
    if lacking := [one for one, found in zip(recipes, outcomes, strict=True) if not found]:
        raise _missing(stored, [_asked(one) for one in lacking], file)
    shared = [name for name in probed if all(name in found for found in outcomes)]
    if left := len(stored.drawn) - len(shared):
        notes[f"{stored.task}: {left} questions left out: not all answered them"] = None
    for name in sorted(shared):
        named = replace(probed[name], cluster=f"{stored.task} {probed[name].cluster}")
        yield named, [found[name] for found in outcomes]


def _asked(recipe: Recipe) -> str:
    return "@".join(part for part in (recipe.search, recipe.scorer) if part)


def _missing(stored: StoredSamples, names: Sequence[str], file: Path, why: str = "") -> UsageError:
    spelled = " ".join(f"'{name}'" for name in names)
    return UsageError(
        f"{no_answers(file)} of {', '.join(names)} to {stored.task} that a plan can be fitted "
        f"to{why}",
        f"make some: forethought compare {spelled} -m {stored.recipe.model} -t '{stored.task}' "
        f"--results {file}",
    )


def _signs(one: Draws, probe: int) -> tuple[float, float]:
    likely = [answer.likelihood for answer in one.answers[:probe]]
    return signs(one.groups[:probe], likely)


def _is_plain(sample: Sample) -> bool:
    """Whether the sample is a plain greedy answer, equal to that of the strategy `greedy`."""
    return not Recipe.parse(sample.run["recipe"]).search and temperature(sample.run) == 0


def _size(found: Mapping[str, Draws]) -> int:
    return sum(one.count for one in found.values())


def _in_order(one: Draws) -> Draws:
    """The answers in the order they were drawn."""
    order = sorted(range(one.count), key=lambda at: one.answers[at].path)
    return replace(
        one,
        right=tuple(one.right[at] for at in order),
        answers=tuple(one.answers[at] for at in order),
        scores=tuple(one.scores[at] for at in order),
    )
