"""What a right answer costs, from stored answers: cost-of-pass by recipe and its frontier."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.cost.cost_of_pass import (
    HUMAN_USD,
    ScoredRuns,
    Spread,
    essentialness,
    frontier,
    frontier_spread,
    spread,
)
from forethought.cost.hardware import Hardware
from forethought.cost.hourly_prices import HourlyPrice
from forethought.cost.roofline import Machine
from forethought.evaluation.stored_samples import samples_of_model
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import no_answers, results_file

_DRAWS = 2000


@dataclass(frozen=True)
class RunPrice:
    """The price of a stored run: its dollars, or the time of its work on a machine."""

    machine: Machine | None
    price: HourlyPrice | None

    def of(self, run: Mapping[str, Any]) -> float | None:
        """US dollars of a run; None without a price."""
        cost = run["cost"]
        if cost.get("usd") is not None:
            return float(cost["usd"])
        if self.machine is None or self.price is None:
            return None
        return _seconds(cost, self.machine.hardware) * self.price.usd / 3600

    def joules(self, run: Mapping[str, Any]) -> float | None:
        """Energy of a run at full power; None on a server, or if the power is unknown."""
        cost = run["cost"]
        if cost.get("usd") is not None or self.machine is None or not self.machine.hardware.watts:
            return None
        return _seconds(cost, self.machine.hardware) * self.machine.hardware.watts


def _seconds(cost: Mapping[str, Any], card: Hardware) -> float:
    """The time of one accelerator.

    Several share the work, and all of them are paid and powered: their number cancels out.
    """
    compute, memory = cost["flops"] / card.peak, cost.get("bytes_moved", 0.0) / card.bandwidth
    return float(max(compute, memory))


@dataclass(frozen=True)
class PassCost:
    """One recipe on one task."""

    recipe: str
    task: str
    problems: int
    runs: int
    solved: int
    """Problems with a right answer."""
    score: float
    usd: float
    """Mean dollars of a run."""
    pass_usd: Spread
    """Dollars of all runs over all right answers."""
    pass_joules: float | None = None
    """Energy of all runs over all right answers, at full power; None if it is unknown, and
    infinite without a right answer."""


@dataclass(frozen=True)
class FrontierCost:
    """The cheapest way for each problem of a task."""

    task: str
    value: float | None
    """The plain mean over problems; None if a problem was never solved and no human is."""
    split: Spread | None
    """The price of the ways that one half of the runs chooses, paid by the other half."""
    human: float | None
    leads: Mapping[str, int]
    """Problems on which each recipe is cheapest; `human` among them."""
    essential: Mapping[str, float] = field(default_factory=dict)
    """Share of the value without a recipe that this recipe saves (the paper's essentialness), of
    the plain mean; empty without one."""


@dataclass(frozen=True)
class PassCosts:
    """Cost-of-pass of all recipes, and the frontier of each task."""

    rows: tuple[PassCost, ...]
    frontiers: tuple[FrontierCost, ...]
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The costs as plain JSON values; an infinite cost is null."""
        found: dict[str, Any] = _finite(asdict(self))
        return found


def pass_costs(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe,
    price: RunPrice,
    *,
    results: Path | str | None = None,
    human: float | None = None,
    seed: int = 0,
) -> PassCosts:
    """Cost-of-pass from the results file; no model runs.

    Without recipes, every stored recipe on the model of `base` counts. Raises UsageError if no
    answer is stored, or none has a price.
    """
    names = [name for text in tasks for name in _opened(text)]
    file = Path(results or results_file()).expanduser()
    named = {one.spelling for one in recipe_grid(recipes, base)} if recipes else set()
    held = samples_of_model(file, names, base.model, named)
    priced = {task: _priced(found, price) for task, found in held.items()}
    if not any(priced.values()):
        raise _nothing(file, base, names, any(held.values()))
    rng = np.random.default_rng(seed)
    rows = [
        _row(label, task, own, _pass_joules(held[task], label, price), rng)
        for task, found in priced.items()
        for label, own in found.items()
    ]
    ends = [
        _frontier(task, found, _human(task, human), rng) for task, found in priced.items() if found
    ]
    return PassCosts(tuple(rows), tuple(ends))


def _opened(task: str) -> list[str]:
    return [catalogue.spelled_open(one) for one in catalogue.expand(task).values()]


def _priced(samples: Sequence[Sample], price: RunPrice) -> dict[str, dict[str, ScoredRuns]]:
    """By recipe and question, the dollars and scores of its runs."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        usd = price.of(sample.run)
        if usd is not None:
            found[sample.recipe][sample.question].append((usd, sample.score))
    return {
        label: {
            question: ScoredRuns(*(tuple(column) for column in zip(*runs, strict=True)))
            for question, runs in questions.items()
        }
        for label, questions in found.items()
    }


def _nothing(file: Path, base: Recipe, tasks: Sequence[str], stored: bool) -> UsageError:
    if stored:
        return UsageError(
            "the stored answers have no price",
            "name hardware with a price, such as --on h100, or state --usd-per-hour",
        )
    asked = " ".join(f"-t '{task}'" for task in tasks[:1])
    return UsageError(
        f"{no_answers(file)} of {base.model} to {', '.join(tasks)}",
        f"make some: forethought evaluate -m {base.model} {asked} --samples 8 --results {file}",
    )


def _pass_joules(samples: Sequence[Sample], label: str, price: RunPrice) -> float | None:
    own = [one for one in samples if one.recipe == label]
    spent = [joules for one in own if (joules := price.joules(one.run)) is not None]
    if len(spent) < len(own):
        return None
    right = math.fsum(one.score for one in own)
    return math.fsum(spent) / right if right else math.inf


def _row(
    label: str,
    task: str,
    questions: Mapping[str, ScoredRuns],
    pass_joules: float | None,
    rng: np.random.Generator,
) -> PassCost:
    costs = tuple(cost for runs in questions.values() for cost in runs.costs)
    scores = tuple(score for runs in questions.values() for score in runs.scores)
    return PassCost(
        recipe=label,
        task=task,
        problems=len(questions),
        runs=len(costs),
        solved=sum(any(runs.scores) for runs in questions.values()),
        score=sum(scores) / len(scores),
        usd=sum(costs) / len(costs),
        pass_usd=_ratio(questions, rng),
        pass_joules=pass_joules,
    )


def _ratio(questions: Mapping[str, ScoredRuns], rng: np.random.Generator) -> Spread:
    """All dollars over all right answers, with an interval over the draw of questions."""
    costs = np.array([sum(runs.costs) for runs in questions.values()])
    right = np.array([sum(runs.scores) for runs in questions.values()])
    value = float(costs.sum() / right.sum()) if right.sum() else math.inf
    if len(costs) == 1:
        one = next(iter(questions.values()))
        return spread(one, rng, draws=_DRAWS)
    again = rng.integers(0, len(costs), (_DRAWS, len(costs)))
    totals, hits = costs[again].sum(1), right[again].sum(1)
    with np.errstate(divide="ignore"):
        ratios = np.where(hits > 0, totals / hits, np.inf)
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    return Spread(value, float(low), float(high))


def _human(task: str, stated: float | None) -> float | None:
    """The price of a right answer by a human: stated, or the paper's for this task."""
    return HUMAN_USD.get(task.partition("(")[0]) if stated is None else stated


def _frontier(
    task: str,
    found: Mapping[str, Mapping[str, ScoredRuns]],
    human: float | None,
    rng: np.random.Generator,
) -> FrontierCost:
    """The frontier over the questions that every recipe answered."""
    shared = sorted(set.intersection(*(set(own) for own in found.values())))
    ways = {label: [own[question] for question in shared] for label, own in found.items()}
    plain = {label: [runs.cost_of_pass for runs in own] for label, own in ways.items()}
    least = frontier(plain, human) if shared else []
    finite = bool(least) and not any(map(math.isinf, least))
    several = all(len(runs.costs) > 1 for own in ways.values() for runs in own)
    return FrontierCost(
        task=task,
        value=sum(least) / len(least) if finite else None,
        split=frontier_spread(ways, human, rng, draws=_DRAWS) if shared and several else None,
        human=human,
        leads=_leads(plain, least, human),
        essential={one: essentialness(plain, [one], human) for one in plain} if finite else {},
    )


def _leads(
    plain: Mapping[str, Sequence[float]], least: Sequence[float], human: float | None
) -> dict[str, int]:
    leads: dict[str, int] = defaultdict(int)
    for problem, best in enumerate(least):
        names = [label for label, costs in plain.items() if costs[problem] == best]
        leads[names[0] if names and math.isfinite(best) else "human" if human else "nobody"] += 1
    return dict(leads)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
