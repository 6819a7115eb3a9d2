"""A plan of which strategy suits questions of which difficulty: the call behind `tune`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.plan import DifficultyPlan, Sign
from forethought.contracts.questions import Task
from forethought.contracts.tuning import Chosen, StrategyCost, Tuned
from forethought.evaluation.fitting import StrategyMatrix, fitted, held_out, routes
from forethought.evaluation.strategy_matrix import StoredSamples, below, tried
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import paired_interval
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import results_file
from forethought.storage.store import Store

FEWEST_IN_BIN = 8
"""Questions that a bin is fitted on, at least; with fewer a plan is a matter of chance."""


@dataclass(frozen=True)
class PlanSettings:
    """What plan is wanted."""

    probe: int = 4
    """Answers that tell how hard a question is."""
    by: Sign = "agreement"
    bins: int = 3
    worth: float = 0.0
    """Points of score, of 100, that a thousand tokens must bring; 0 where they cost nothing."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.probe < 2 or self.bins < 1 or not 0 <= self.worth < 1e6:
            raise UsageError(
                f"probe={self.probe}, bins={self.bins}, worth={self.worth:g} make no plan",
                "give a probe of 2 answers or more, 1 bin or more, and a worth of 0 or more",
            )


def tune(
    strategies: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    wanted: PlanSettings | None = None,
    results: Path | str | None = None,
) -> Tuned:
    """Fit a plan to what the results file holds; no model is asked. All questions count alike.

    Strategies are named as for `compare`. Votes need not have been run where enough answers of
    another one are kept. UsageError where too little is kept.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    asked = wanted or PlanSettings()
    built: dict[str, Task] = {}
    for text in tasks:
        built |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    if not built:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")
    recipes = _recipes(strategies, on)
    file = Path(results or results_file()).expanduser()
    kept = _kept(file, built, on, recipes)
    notes: dict[str, None] = {}
    table = replace(tried(kept, recipes, asked.probe, file, notes), worth=asked.worth / 1e5)
    _check_enough(table, asked)
    found = _tuned(table, asked)
    scorer = next((one.scorer for one in recipes if one.scorer), "")
    plan = replace(
        found.plan,
        model=_named(recipes),
        tasks=tuple(one.task for one in kept),
        told={**found.plan.told, "scorer": scorer},
    )
    made = {"forethought": metadata.version("forethought"), "results": file.name}
    return replace(found, plan=plan, scorer=scorer, notes=tuple(notes), provenance=made)


def _recipes(strategies: Sequence[str], on: Recipe) -> list[Recipe]:
    found = [one for one in recipe_grid(strategies, on) if one.search]
    if len(found) < 2 or len(found) < len(strategies):
        raise UsageError(
            f"a plan chooses among strategies, and {len(found)} are named",
            "name two or more, such as: greedy 'majority-vote(n=8)'",
        )
    if len({below(one) for one in found}) > 1:
        raise UsageError(
            "a plan chooses among strategies of one model with the same methods",
            "name strategies alone, and the model with -m",
        )
    scorers = {one.scorer for one in found} - {""}
    if len(scorers) > 1:
        raise UsageError(
            f"a search has one scorer, and these have {', '.join(sorted(scorers))}",
            "keep strategies of one scorer",
        )
    return found


def _named(recipes: Sequence[Recipe]) -> str:
    """Model, draft and methods of all of them."""
    drafted = next((one for one in recipes if one.draft != Recipe.draft), recipes[0])
    return replace(drafted, search="", scorer="").spelling


def _kept(
    file: Path, tasks: dict[str, Task], on: Recipe, recipes: Sequence[Recipe]
) -> list[StoredSamples]:
    found = defaultdict(list)
    if file.exists():
        with Store.open(file) as store:
            for sample in store.samples(tasks=list(tasks)):
                if below(Recipe.parse(sample.run["recipe"])) == below(recipes[0]):
                    found[sample.task].append(sample)
    return [StoredSamples(name, task, found[name], on) for name, task in tasks.items()]


def _check_enough(table: StrategyMatrix, asked: PlanSettings) -> None:
    least = max(2, asked.bins) * FEWEST_IN_BIN
    clusters = len(set(table.clusters))
    if clusters < least:
        raise UsageError(
            f"{clusters} independent questions are too few for {asked.bins} bins: "
            f"{least} are the least",
            "compare the strategies on more questions, or ask for fewer --bins",
        )


def _tuned(table: StrategyMatrix, asked: PlanSettings) -> Tuned:
    rng = np.random.default_rng(asked.seed)
    plan = fitted(table, asked.probe, asked.by, asked.bins)
    held = held_out(table, asked.probe, asked.by, asked.bins, rng)
    differences = held.scores - table.scores[table.best()]
    gain = paired_interval([Clustered.of(differences.tolist(), table.clusters)], rng)
    found = Tuned(
        plan=plan,
        questions=len(table.signs),
        bins=tuple(_bins(plan, table)),
        fixed=table.strategies[table.best()],
        strategies={
            name: _spent(table.scores[place], table.tokens[place])
            for place, name in enumerate(table.strategies)
        },
        adapted=_spent(held.scores, held.tokens),
        gain=gain,
        worth=asked.worth,
    )
    return replace(found, plan=replace(plan, told=_told(found)))


def _told(found: Tuned) -> dict[str, object]:
    """What the plan's file tells of how it was found."""
    return {
        "questions": found.questions,
        "score": round(found.adapted.score, 6),
        "tokens": round(found.adapted.tokens, 1),
        "best_single": found.fixed,
        "best_single_score": round(found.alone.score, 6),
        "best_single_tokens": round(found.alone.tokens, 1),
        "gain": [round(end, 6) for end in (found.gain.value, found.gain.low, found.gain.high)],
        "worth": found.worth,
    }


def _spent(scores: np.ndarray, tokens: np.ndarray) -> StrategyCost:
    return StrategyCost(float(scores.mean()), float(tokens.mean()))


def _bins(plan: DifficultyPlan, table: StrategyMatrix) -> list[Chosen]:
    places = np.array([plan.bin_of(*signs) for signs in table.signs])
    sent, fixed = np.array(routes(plan, table)), table.best()
    found = []
    for number, one in enumerate(plan.bins):
        (here,) = np.nonzero(places == number)
        found.append(
            Chosen(
                strategy=one.strategy,
                least=one.least,
                questions=len(here),
                score=float(table.scores[sent[here], here].mean()),
                fixed_score=float(table.scores[fixed, here].mean()),
            )
        )
    return found
