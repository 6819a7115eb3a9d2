"""Difficulty plans fitted to stored answers: the Python call behind `tune`."""

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
from forethought.evaluation.strategy_matrix import StoredSamples, strategy_matrix, without_search
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import paired_interval
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import results_file
from forethought.storage.store import Store

FEWEST_IN_BIN = 8
"""Least questions per bin; with fewer, the choice of a strategy is noise."""


@dataclass(frozen=True)
class PlanSettings:
    """Settings of the fit."""

    probe: int = 4
    """Answers drawn to estimate a question's difficulty."""
    by: Sign = "agreement"
    bins: int = 3
    worth: float = 0.0
    """Points of score, of 100, that a thousand tokens must gain; 0 makes tokens free."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.probe < 2 or self.bins < 1 or not 0 <= self.worth < 1e6:
            raise UsageError(
                f"probe={self.probe}, bins={self.bins}, worth={self.worth:g} are out of range",
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
    """Fit a plan to the results file; no model runs. All questions count alike.

    Strategies are spelled as for `compare`. A vote without stored runs is replayed on the stored
    answers of another recipe. UsageError if the file holds too few samples.
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
    stored = _stored_samples(file, built, on, recipes)
    notes: dict[str, None] = {}
    table = replace(
        strategy_matrix(stored, recipes, asked.probe, file, notes), worth=asked.worth / 1e5
    )
    _check_enough(table, asked)
    found = _tuned(table, asked)
    scorer = next((one.scorer for one in recipes if one.scorer), "")
    plan = replace(
        found.plan,
        model=_named(recipes),
        tasks=tuple(one.task for one in stored),
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
    if len({without_search(one) for one in found}) > 1:
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
    """Spelling of the model, draft and methods that the recipes share."""
    drafted = next((one for one in recipes if one.draft != Recipe.draft), recipes[0])
    return replace(drafted, search="", scorer="").spelling


def _stored_samples(
    file: Path, tasks: dict[str, Task], on: Recipe, recipes: Sequence[Recipe]
) -> list[StoredSamples]:
    found = defaultdict(list)
    if file.exists():
        with Store.open(file) as store:
            for sample in store.samples(tasks=list(tasks)):
                if without_search(Recipe.parse(sample.run["recipe"])) == without_search(recipes[0]):
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
    return replace(found, plan=replace(plan, told=_fit_record(found)))


def _fit_record(found: Tuned) -> dict[str, object]:
    """Results of the fit that the plan's file records."""
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
