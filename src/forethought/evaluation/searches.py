"""What searches chose among, looked into: other choices, fewer answers, and equal costs."""

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
    Chances,
    Comparison,
    EqualCost,
    SubsampleCurve,
)
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.evaluation.curves import (
    flop_price,
    powers,
    scored,
    scoring_each,
    token_price,
    vote,
)
from forethought.evaluation.draws import Check, Draws, choices, draws, draws_alike
from forethought.evaluation.token_rates import TokenRates
from forethought.numerics.equal_cost import Arm, UnitCost, at_equal_cost
from forethought.recipes.recipe import Recipe

Checks = Mapping[str, Check]
"""How answers are judged, by task."""
_BUDGETS = 6
_APART = 1.25
"""Budgets that differ by a smaller factor are one."""


@dataclass(frozen=True)
class Searches:
    """The kept runs of recipes of which some are searches."""

    recipes: Mapping[str, Recipe]
    """By name, in order; what is counted besides stands behind its source."""
    samples: Mapping[str, Sequence[Sample]]
    """By name."""
    checks: Checks
    counted: Mapping[str, str]
    """Of each vote that nobody asked for, the name of the search whose answers it counts."""
    rates: Mapping[str, TokenRates]
    """What tokens cost, by what stands below a search."""

    @classmethod
    def of(
        cls, recipes: Mapping[str, Recipe], samples: Sequence[Sample], checks: Checks
    ) -> Searches:
        """These recipes' samples, and votes of as many answers where a search drew them."""
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
                paid = rates[_below(recipe)]
                kept[voting.label] = [_vote(one, voting, paid, checks) for one in known[name]]
        return cls(every, kept, checks, counted, rates)

    @property
    def all_samples(self) -> list[Sample]:
        """Of all recipes, counted ones too."""
        return [sample for name in self.recipes for sample in self.samples.get(name, ())]

    def told(self, found: Comparison) -> Comparison:
        """The comparison with what its searches' answers tell besides."""
        standings = tuple(
            replace(
                one,
                counted_from=self.counted.get(one.recipe, ""),
                chances=self._chances(one.recipe),
                fewer=tuple(self._fewer(one.recipe)),
            )
            for one in found.standings
        )
        return replace(found, standings=standings, equal=tuple(self._equal(found)))

    def _by_task(self, name: str) -> dict[str, list[Sample]]:
        grouped: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples.get(name, ()):
            grouped[sample.task].append(sample)
        return grouped

    def _chances(self, name: str) -> Chances | None:
        """Mean over tasks of the mean over their questions; None of what chose among nothing."""
        by_task = []
        for task, samples in self._by_task(name).items():
            seen = [choices(one, self.checks[task]) for one in samples]
            if not seen or any(one is None for one in seen):
                return None
            by_task.append([one for one in seen if one is not None])
        random = _mean([_mean([one.random for one in seen]) for seen in by_task])
        return Chances(random, _mean([_mean([one.oracle for one in seen]) for seen in by_task]))

    def _drawn(self, name: str) -> list[list[Draws]]:
        """By task, the independent answers to each question; empty where they are none."""
        by_task = self._by_task(self.counted.get(name, name))
        every = [sample for samples in by_task.values() for sample in samples]
        if not every or not all(draws_alike(sample.run) for sample in every):
            return []
        rates = self.rates[_below(self.recipes[name])]
        found = [draws(samples, self.checks[task], rates) for task, samples in by_task.items()]
        return [] if any(one.cut for drawn in found for one in drawn) else found

    @cached_property
    def _arms(self) -> dict[str, _Drawn | None]:
        return {name: self._arm(name) for name in self.recipes}

    def _arm(self, name: str) -> _Drawn | None:
        """What its draws tell of fewer answers; None where they do not."""
        recipe = self.recipes[name]
        if not recipe.search:
            return None
        drawn = self._drawn(name)
        chooses = catalogue.build(recipe.search, "strategies").chooses
        ranked = all(one.ranks is not None for task in drawn for one in task)
        if not drawn or not (chooses == "vote" or (chooses == "score" and ranked)):
            return None
        return _Drawn(drawn, vote if chooses == "vote" else scored)

    def _fewer(self, name: str) -> Iterator[SubsampleCurve]:
        arm = self._arms[name]
        for k in powers(arm.most)[:-1] if arm else ():
            assert arm is not None
            yield SubsampleCurve(k, arm.reached(k), arm.tokens.of(k), arm.flops.of(k))

    def _equal(self, found: Comparison) -> Iterator[EqualCost]:
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
class _Drawn:
    """A search's independent answers, and how it chooses among them."""

    by_task: Sequence[Sequence[Draws]]
    each: Callable[[Draws, int], float]

    @property
    def most(self) -> int:
        """Answers to each question, at least."""
        return min(one.count for task in self.by_task for one in task)

    def reached(self, k: int) -> float:
        """The score with k answers."""
        return _mean([_mean([self.each(one, k) for one in task]) for task in self.by_task])

    @property
    def tokens(self) -> UnitCost:
        """With scoring, where it is scored."""
        return self._price(token_price, 0)

    @property
    def flops(self) -> UnitCost:
        """With scoring, where it is scored."""
        return self._price(flop_price, 1)

    def _price(self, price: Callable[[Sequence[Draws]], UnitCost], unit: int) -> UnitCost:
        every = [one for task in self.by_task for one in task]
        drawing = price(every)
        added = scoring_each(every)[unit] if self.each is scored else 0.0
        return UnitCost(drawing.once, drawing.each + added)


def _below(recipe: Recipe) -> str:
    """Model, draft and methods, whatever searches on top of them."""
    return replace(recipe, search="", scorer="").spelling


def _rates(
    recipes: Mapping[str, Recipe], samples: Mapping[str, Sequence[Sample]]
) -> dict[str, TokenRates]:
    """What tokens cost, from all runs whose model does the same to them."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, recipe in recipes.items():
        found[_below(recipe)] += [sample.run for sample in samples[name]]
    return {below: TokenRates.of(runs) for below, runs in found.items() if runs}


def _voting(recipe: Recipe, samples: Sequence[Sample]) -> Recipe | None:
    """The vote of as many answers as a search drew, where it drew them all alike."""
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
    except UsageError:  # such as a budget that was enough only for the search itself
        return None


def _vote(sample: Sample, voting: Recipe, rates: TokenRates, checks: Checks) -> Sample:
    """A search's answers as a vote would have chosen among them; equal counts share the credit."""
    (one,) = draws([sample], checks[sample.task], rates)
    cost = {
        **sample.run["cost"],
        "scoring_tokens": 0,
        "flops": sample.run["cost"]["flops"] - one.flops.scoring,
    }
    if sample.run["cost"]["scoring_tokens"]:
        cost["usd"] = None  # what of it was for scoring is not told
    score = min(1.0, max(0.0, vote(one, one.count)))
    run = {**sample.run, "recipe": voting.spelling, "cost": cost}
    return replace(sample, key=f"{sample.key} vote", recipe=voting.label, score=score, run=run)


def _budgets(tokens: Sequence[float]) -> list[float]:
    """Twice as many tokens each time, from what the first recipe takes to the most of all."""
    most = max(tokens)
    doubled = [tokens[0] * 2**step for step in range(_BUDGETS)]
    # What the dearest recipe takes should not miss its budget by rounding.
    return [*(one for one in doubled if one * _APART < most), most * (1 + 1e-9)]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
