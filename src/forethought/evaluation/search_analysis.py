"""Analysis of stored searches: other choices among candidates, fewer answers, equal cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from forethought import catalogue
from forethought.contracts.comparison import (
    AtBudget,
    Comparison,
    EqualCost,
    SubsampleCurve,
)
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.contracts.search import Strategy
from forethought.evaluation.answer_statistics import chances, drawn_answers
from forethought.evaluation.curves import (
    flop_price,
    scored,
    scoring_each,
    token_price,
    vote,
)
from forethought.evaluation.draws import Check, Choices, Draws, choices, draws, draws_alike
from forethought.evaluation.look_ahead import powers_of_two
from forethought.evaluation.token_rates import TokenRates
from forethought.numerics.equal_cost import Arm, UnitCost, at_equal_cost
from forethought.recipes.recipe import Recipe

Checks = Mapping[str, Check]
"""Checkers of answers, by task."""
_BUDGETS = 6
_LEAST_FACTOR = 1.25
"""Budgets closer than this factor merge."""


@dataclass(frozen=True)
class SearchAnalysis:
    """Stored samples of recipes, and majority votes counted from searches among them."""

    recipes: Mapping[str, Recipe]
    """By label, in order; a counted vote follows its source."""
    samples: Mapping[str, Sequence[Sample]]
    """By label."""
    checks: Checks
    counted: Mapping[str, str]
    """For each counted vote, the label of the search that drew its answers."""
    rates: Mapping[str, TokenRates]
    """Token rates, by the spelling of a recipe without its search."""

    @classmethod
    def of(
        cls, recipes: Mapping[str, Recipe], samples: Sequence[Sample], checks: Checks
    ) -> SearchAnalysis:
        """The samples of these recipes, and a counted vote for each search that draws alike."""
        known: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            known[sample.recipe].append(sample)
        rates = _rates(recipes, known)
        every, kept, counted = {}, dict[str, Sequence[Sample]](known), dict[str, str]()
        for name, recipe in recipes.items():
            every[name] = recipe
            voting = _voting(recipe, known[name])
            if voting is not None and voting.label not in {*recipes, *every}:
                every[voting.label], counted[voting.label] = voting, name
                paid = rates[_without_search(recipe)]
                kept[voting.label] = [_vote(one, voting, paid, checks) for one in known[name]]
        return cls(every, kept, checks, counted, rates)

    @property
    def all_samples(self) -> list[Sample]:
        """The samples of all recipes, counted votes included."""
        return [sample for name in self.recipes for sample in self.samples.get(name, ())]

    def extended(self, found: Comparison) -> Comparison:
        """The comparison, extended by the statistics of its searches."""
        results = tuple(
            replace(
                one,
                counted_from=self.counted.get(one.recipe, ""),
                chances=chances(self._choices(one.recipe)),
                drawn=drawn_answers(self._choices(one.recipe), self._most(one.recipe)),
                fewer=tuple(self._subsample_curve(one.recipe)),
            )
            for one in found.standings
        )
        return replace(found, standings=results, equal=tuple(self._equal_cost(found)))

    def _by_task(self, name: str) -> dict[str, list[Sample]]:
        grouped: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples.get(name, ()):
            grouped[sample.task].append(sample)
        return grouped

    def _choices(self, name: str) -> list[list[Choices]]:
        """The answers that each run chose among, by task."""
        return [
            choices(samples, self.checks[task]) for task, samples in self._by_task(name).items()
        ]

    def _most(self, name: str) -> int:
        """The answers of a run that does not stop early; 0 if the recipe never does."""
        search = self.recipes[name].search
        built: Strategy | None = catalogue.build(search, "strategies") if search else None
        return built.most_answers if built else 0

    def _draws(self, name: str) -> list[list[Draws]]:
        """Draws by task; empty unless all answers are independent and whole."""
        by_task = self._by_task(self.counted.get(name, name))
        every = [sample for samples in by_task.values() for sample in samples]
        if not every or not all(draws_alike(sample.run) for sample in every):
            return []
        rates = self.rates[_without_search(self.recipes[name])]
        found = [draws(samples, self.checks[task], rates) for task, samples in by_task.items()]
        return [] if any(one.cut for drawn in found for one in drawn) else found

    @cached_property
    def _arms(self) -> dict[str, _SubsampledDraws | None]:
        return {name: self._arm(name) for name in self.recipes}

    def _arm(self, name: str) -> _SubsampledDraws | None:
        """Subsampled draws of a recipe; None if its draws or its choice do not allow that."""
        recipe = self.recipes[name]
        if not recipe.search:
            return None
        drawn = self._draws(name)
        chooses = catalogue.build(recipe.search, "strategies").chooses
        ranked = all(one.ranks is not None for task in drawn for one in task)
        if not drawn or not (chooses == "vote" or (chooses == "score" and ranked)):
            return None
        return _SubsampledDraws(drawn, vote if chooses == "vote" else scored)

    def _subsample_curve(self, name: str) -> Iterator[SubsampleCurve]:
        arm = self._arms[name]
        for k in powers_of_two(arm.most)[:-1] if arm else ():
            assert arm is not None
            yield SubsampleCurve(k, arm.reached(k), arm.tokens.of(k), arm.flops.of(k))

    def _equal_cost(self, found: Comparison) -> Iterator[EqualCost]:
        if not any(self._arms.values()):
            return
        arms = []
        for one in found.standings:
            arm = self._arms[one.recipe]
            alone = Arm.of([one.score.value], UnitCost(0.0, one.tokens))
            arms.append(Arm(arm.reached, arm.most, arm.tokens) if arm else alone)
        budgets = _budgets([one.tokens for one in found.standings])
        spent = at_equal_cost(arms, budgets)
        names = [one.recipe for one in found.standings]
        for place, budget in enumerate(budgets):
            row = [one[place] for one in spent]
            yield EqualCost(
                budget,
                tuple(
                    AtBudget(name, one.samples, one.reached, one.cost)
                    for name, one in zip(names, row, strict=True)
                ),
            )


@dataclass(frozen=True)
class _SubsampledDraws:
    """A search's independent answers, and its way to choose among them."""

    by_task: Sequence[Sequence[Draws]]
    each: Callable[[Draws, int], float]

    @property
    def most(self) -> int:
        """The least number of answers to a question."""
        return min(one.count for task in self.by_task for one in task)

    def reached(self, k: int) -> float:
        """Expected score with k answers."""
        return _mean([_mean([self.each(one, k) for one in task]) for task in self.by_task])

    @property
    def tokens(self) -> UnitCost:
        """Tokens, including those of the scorer."""
        return self._price(token_price, 0)

    @property
    def flops(self) -> UnitCost:
        """FLOPs, including those of the scorer."""
        return self._price(flop_price, 1)

    def _price(self, price: Callable[[Sequence[Draws]], UnitCost], unit: int) -> UnitCost:
        every = [one for task in self.by_task for one in task]
        drawing = price(every)
        added = scoring_each(every)[unit] if self.each is scored else 0.0
        return UnitCost(drawing.once, drawing.each + added)


def _without_search(recipe: Recipe) -> str:
    """Spelling of the recipe without its search: model, draft and methods."""
    return replace(recipe, search="", scorer="").spelling


def _rates(
    recipes: Mapping[str, Recipe], samples: Mapping[str, Sequence[Sample]]
) -> dict[str, TokenRates]:
    """Token rates, fitted to all runs with the same model, draft and methods."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, recipe in recipes.items():
        found[_without_search(recipe)] += [sample.run for sample in samples[name]]
    return {below: TokenRates.of(runs) for below, runs in found.items() if runs}


def _voting(recipe: Recipe, samples: Sequence[Sample]) -> Recipe | None:
    """The majority vote over as many answers as the search drew; None if it does not apply."""
    if not recipe.search or not samples or not all(draws_alike(one.run) for one in samples):
        return None
    counts = {sum("path" in one for one in sample.run["candidates"]) for sample in samples}
    whole = all(
        one["finish"] in ("stop", "length")
        for sample in samples
        for one in sample.run["candidates"]
    )
    if len(counts) != 1 or not whole or counts == {1}:
        return None
    try:
        return replace(recipe, search=f"majority-vote(n={counts.pop()})", scorer="")
    except UsageError:  # such as a budget below the vote's number of samples
        return None


def _vote(sample: Sample, voting: Recipe, rates: TokenRates, checks: Checks) -> Sample:
    """The sample of a majority vote over a search's answers; tied groups share the credit."""
    (one,) = draws([sample], checks[sample.task], rates)
    cost = {
        **sample.run["cost"],
        "scoring_tokens": 0,
        "flops": sample.run["cost"]["flops"] - one.flops.scoring,
    }
    if sample.run["cost"]["scoring_tokens"]:
        cost["usd"] = None  # the scorer's part of the price is unknown
    score = min(1.0, max(0.0, vote(one, one.count)))
    run = {**sample.run, "recipe": voting.spelling, "cost": cost, "confidence": None}
    named = replace(sample, key=f"{sample.key} vote", recipe=voting.label)
    return replace(named, score=score, run=run, outcome="")


def _budgets(tokens: Sequence[float]) -> list[float]:
    """Budgets in tokens, doubling from the first recipe's cost to the greatest cost."""
    most = max(tokens)
    doubled = [tokens[0] * 2**step for step in range(_BUDGETS)]
    # Rounding must not push the dearest recipe over its budget.
    return [*(one for one in doubled if one * _LEAST_FACTOR < most), most * (1 + 1e-9)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
