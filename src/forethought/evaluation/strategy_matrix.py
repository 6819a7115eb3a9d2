"""What kept answers tell of strategies, question by question: scores, tokens, and signs."""

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
from forethought.evaluation.answered import answers_by_task, check_alike
from forethought.evaluation.draws import Draws, draws, draws_alike, temperature
from forethought.evaluation.fitting import StrategyMatrix
from forethought.evaluation.judge import AnswerJudge
from forethought.evaluation.replay import replayed
from forethought.evaluation.token_rates import TokenRates, all_tokens
from forethought.numerics.difficulty import signs
from forethought.recipes.recipe import Recipe
from forethought.storage.location import held

Notes = dict[str, None]


def below(recipe: Recipe) -> str:
    """Model and methods of a recipe, whatever searches on top of them."""
    return replace(recipe, draft=Recipe.draft, search="", scorer="").spelling


@dataclass(frozen=True)
class StrategyOutcome:
    """What is known of one strategy and one question."""

    score: float
    tokens: float
    probed: float
    """Tokens behind a probe."""


@dataclass
class StoredSamples:
    """What is kept of one task, of recipes that differ in how they search."""

    task: str
    made: Task
    samples: Sequence[Sample]
    recipe: Recipe

    @cached_property
    def by_label(self) -> Mapping[str, list[Sample]]:
        """By the recipe's name, options included."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            found[sample.recipe].append(sample)
        return found

    @cached_property
    def drawn(self) -> Mapping[str, Draws]:
        """By question, independent answers: those of the recipe that most of are kept of."""
        sources = [some for some in self.by_label.values() if draws_alike(some[0].run)]
        return max(map(self._drawn, sources), key=_size, default={})

    def _drawn(self, samples: Sequence[Sample]) -> Mapping[str, Draws]:
        judge = AnswerJudge(self.made, self.recipe)
        known = [sample for sample in samples if judge.knows(sample)]
        if not known:
            return {}
        found = draws(known, judge.check, TokenRates.of([one.run for one in known]))
        return {one.question: _in_order(one) for one in found if not one.cut}

    def told(self, recipe: Recipe, probe: int, notes: Notes) -> Mapping[str, StrategyOutcome]:
        """What is known of a strategy, by question: as it was run, or else as it is replayed."""
        label = self._label(recipe, notes)
        if label:
            return self._run(label, probe)
        notes[f"{self.task}: {recipe.search} was counted from answers that are kept"] = None
        return self._replayed(catalogue.build(recipe.search, "strategies"), probe)

    def _label(self, recipe: Recipe, notes: Notes) -> str:
        """The name that a strategy's runs are kept by; the one that most of are."""
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

    def _run(self, label: str, probe: int) -> Mapping[str, StrategyOutcome]:
        samples = self.by_label[label]
        answers = answers_by_task(label, samples, [self.task])
        check_alike({label: answers})
        alike = bool(Recipe.parse(samples[0].run["recipe"]).search) and draws_alike(samples[0].run)
        spent: dict[str, list[float]] = defaultdict(list)
        drawn: dict[str, int] = {}
        for sample in samples:
            spent[sample.question].append(all_tokens(sample.run["cost"]))
            drawn[sample.question] = len(sample.run["candidates"]) if alike else 0
        found = {}
        for question, score in answers[self.task].scores.items():
            tokens = math.fsum(spent[question]) / len(spent[question])
            # A vote's first answers are those of the probe; other strategies have no use for them.
            left = self._probe_tokens(question, drawn[question], probe)
            found[question] = StrategyOutcome(score, tokens, tokens + left)
        return found

    def _replayed(self, strategy: Strategy, probe: int) -> Mapping[str, StrategyOutcome]:
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
        """Of the probe's answers behind those that are used again."""
        one = self.drawn.get(question)
        return sum(answer.tokens for answer in one.answers[used:probe]) if one else 0.0


def tried(
    kept: Sequence[StoredSamples], recipes: Sequence[Recipe], probe: int, file: Path, notes: Notes
) -> StrategyMatrix:
    """All strategies on the questions that all of them, and the probe, are known of."""
    rows = [row for one in kept for row in _rows(one, recipes, probe, file, notes)]
    order = sorted(range(len(recipes)), key=lambda at: sum(told[at].tokens for _, told in rows))
    found = [[told[at] for _, told in rows] for at in order]
    looked = [_signs(one, probe) for one, _ in rows]
    return StrategyMatrix(
        strategies=tuple(recipes[at].search for at in order),
        signs=tuple(looked),
        clusters=tuple(one.cluster for one, _ in rows),
        scores=np.array([[told.score for told in row] for row in found]),
        tokens=np.array([[told.tokens for told in row] for row in found]),
        routed=np.array([[told.probed for told in row] for row in found]),
    )


def _rows(
    kept: StoredSamples, recipes: Sequence[Recipe], probe: int, file: Path, notes: Notes
) -> Iterator[tuple[Draws, list[StrategyOutcome]]]:
    probed = {name: one for name, one in kept.drawn.items() if one.count >= probe}
    if not probed:
        why = f", whose first {probe} tell how hard a question is"
        raise _missing(kept, [f"majority-vote(n={max(probe, 8)})"], file, why)
    told = [kept.told(recipe, probe, notes) for recipe in recipes]
    if lacking := [one for one, found in zip(recipes, told, strict=True) if not found]:
        raise _missing(kept, [_asked(one) for one in lacking], file)
    shared = [name for name in probed if all(name in found for found in told)]
    if left := len(kept.drawn) - len(shared):
        notes[f"{kept.task}: {left} questions left out, which not all answered"] = None
    for name in sorted(shared):
        named = replace(probed[name], cluster=f"{kept.task} {probed[name].cluster}")
        yield named, [found[name] for found in told]


def _asked(recipe: Recipe) -> str:
    return "@".join(part for part in (recipe.search, recipe.scorer) if part)


def _missing(kept: StoredSamples, names: Sequence[str], file: Path, why: str = "") -> UsageError:
    spelled = " ".join(f"'{name}'" for name in names)
    return UsageError(
        f"{held(file)} of {', '.join(names)} to {kept.task} that a plan can be fitted to{why}",
        f"make some: forethought compare {spelled} -m {kept.recipe.model} -t '{kept.task}' "
        f"--results {file}",
    )


def _signs(one: Draws, probe: int) -> tuple[float, float]:
    likely = [answer.likelihood for answer in one.answers[:probe]]
    return signs(one.groups[:probe], likely)


def _is_plain(sample: Sample) -> bool:
    """Whether it is a plain answer at temperature 0, which `greedy` gives too."""
    return not Recipe.parse(sample.run["recipe"]).search and temperature(sample.run) == 0


def _size(found: Mapping[str, Draws]) -> int:
    return sum(one.count for one in found.values())


def _in_order(one: Draws) -> Draws:
    """The answers in the order they were drawn, whatever was dropped of them."""
    order = sorted(range(one.count), key=lambda at: one.answers[at].path)
    return replace(
        one,
        right=tuple(one.right[at] for at in order),
        answers=tuple(one.answers[at] for at in order),
        scores=tuple(one.scores[at] for at in order),
    )
