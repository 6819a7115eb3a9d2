"""`tune --settings`: the settings of least cost-of-pass whose score stays near the exact run's.

Settings are those of methods and, with `engine`, those of the engine. Engine settings change no
FLOPs, so the cost is then measured seconds.

Bayesian optimisation proposes recipes; `evaluate` answers them and stores each sample, so a search
that stops is resumed by the same call. The search sees the tuning half of the questions. With
enough questions Thresholdout answers for the score; otherwise the chosen recipe alone is scored
on the holdout half, once. The state of Thresholdout lies in the results file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from math import log
from pathlib import Path

import numpy as np

from forethought import catalogue
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import (
    BadParameterError,
    BudgetSpentError,
    UnfitError,
    UnknownNameError,
    UsageError,
)
from forethought.contracts.questions import Task
from forethought.contracts.settings import Objective, SettingsTrial, TunedSettings
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.engine_settings import EngineSettings, Stopwatch
from forethought.evaluation.evaluate import Evaluation
from forethought.evaluation.holdout_looks import HoldoutItem, HoldoutLooks, HoldoutSplit
from forethought.evaluation.settings_search import (
    SAMPLERS,
    Measurement,
    SettingsSearch,
    imported_optuna,
)
from forethought.evaluation.settings_space import SettingsSpace
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import paired_interval
from forethought.recipes.recipe import Recipe, is_remote
from forethought.recipes.recipe_grid import EXACT, recipe_grid
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers
from forethought.storage.location import results_file
from forethought.storage.provenance import provenance
from forethought.storage.store import Store

LEAST = 20
"""Least questions of both halves together."""
Progress = Callable[[SettingsTrial], None]
_AND = "\n"  # between a recipe and its engine settings


@dataclass(frozen=True)
class TuningSettings:
    """Limits of the search."""

    trials: int = 16
    loss: float = 0.05
    """The allowed loss of score, from 0 to 1."""
    surrogate: str = "gp"
    seed: int = 0
    engine: str = ""
    """A space of engine settings, such as `threads=1|2, rows=1|8`; it makes seconds the cost."""
    objective: Objective = "flops"
    usd_per_hour: float | None = None
    """The price of this machine, for the report."""

    @property
    def cost(self) -> Objective:
        """The objective: seconds if engine settings are searched."""
        return "seconds" if self.engine else self.objective


@dataclass(frozen=True)
class _Runs:
    """Mean score and FLOPs of each question, by task and identifier."""

    scores: Mapping[str, float]
    flops: Mapping[str, float]
    items: Mapping[str, HoldoutItem]
    label: str
    """The recipe's label."""
    seconds: float | None = None
    """Measured seconds of a question, if they are the objective."""

    def spent(self, items: Sequence[str]) -> float:
        """The cost of questions, in units of the objective."""
        return self.over(items)[0] if self.seconds is None else self.seconds * len(items)

    def over(self, items: Sequence[str]) -> tuple[float, float]:
        """Sums of FLOPs and of scores over questions."""
        return sum(self.flops[n] for n in items), sum(self.scores[n] for n in items)


def tune_settings(
    space: str,
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    wanted: TuningSettings | None = None,
    results: Path | str | None = None,
    progress: Progress | None = None,
) -> TunedSettings:
    """Search a space such as `snapkv(keep=64..512, window=8|16)` for the best settings.

    Raises BadParameterError for a text that is no space, and UsageError for too few questions.
    """
    asked = wanted or TuningSettings()
    if asked.surrogate not in SAMPLERS:
        raise UnknownNameError.among("surrogate", asked.surrogate, SAMPLERS)
    on = Recipe.parse(base) if isinstance(base, str) else base
    if is_remote(on.model):
        raise UsageError(
            f"{on.model} is a server, whose FLOPs are unknown", "tune a model that runs here"
        )
    if not 0 <= asked.loss <= 1:
        raise BadParameterError(f"a loss of {asked.loss:g} is no score", "give 0 to 1")
    found = SettingsSpace.of(f"{space}{_AND}{asked.engine}")
    spelling, engine = _parts(found.spelled((0,) * len(found.settings)))
    recipe_grid([spelling], on)  # a wrong name fails before anything runs
    EngineSettings.of(engine)
    imported_optuna()
    file = Path(results or results_file()).expanduser()
    built = {
        catalogue.spelled_open(task): task
        for text in tasks
        for task in catalogue.expand(text).values()
    }
    with Answers(servers=Servers(prices={})) as answers, Store.open(file) as store:
        watch = Stopwatch(answers, store.request_seconds(), time.perf_counter)
        measured = _Measured(built, on, answers, store, watch, asked.cost)
        exact = measured.runs(EXACT)
        _check_enough(len(exact.scores))
        split = HoldoutSplit.of(list(exact.items.values()))
        guard = _Guard(exact, HoldoutLooks(split, exact.label, store.holdouts()))
        trials = _searched(found, measured, guard, asked, progress)
        return _result(space, found, trials, guard, asked)


@dataclass(frozen=True)
class _Measured:
    tasks: Mapping[str, Task]
    base: Recipe
    answers: Answers
    """Keeps the model loaded from trial to trial."""
    store: Store
    watch: Stopwatch
    objective: Objective

    def runs(self, spelling: str, engine: str = "") -> _Runs:
        """Answer a recipe where the results file lacks it, and read its samples."""
        settings = EngineSettings.of(engine)
        base = replace(self.base, weights=settings.weights or self.base.weights)
        recipe = self.answers.settled(recipe_grid([spelling], base)[0])
        cells = LocalCells(self.answers)
        evaluation = Evaluation((recipe,), self.tasks, self.store, cells, provenance())
        evaluation.run()
        seconds = None
        if self.objective == "seconds":
            asks = [one.ask for one in evaluation.wanted()]
            seconds = self.watch.seconds(recipe, settings, asks)
        scores, flops, items = {}, {}, {}
        for sample in self.store.samples([recipe.label], list(self.tasks)):
            if sample.number == 0:
                item = HoldoutItem.of_sample(sample)
                scores[item.name], items[item.name] = sample.score, item
                flops[item.name] = float(sample.run["cost"]["flops"])
        return _Runs(scores, flops, items, recipe.label, seconds)


@dataclass(frozen=True)
class _Guard:
    """Answers for differences of scores to the exact run."""

    exact: _Runs
    looks: HoldoutLooks

    @property
    def tuning(self) -> Sequence[str]:
        """Questions that the search sees."""
        return self.looks.split.tuning

    @property
    def holdout(self) -> Sequence[str]:
        """The other questions."""
        return self.looks.split.holdout

    @property
    def reusable(self) -> bool:
        """Whether both halves are large enough for Thresholdout."""
        return self.looks.split.enough

    def trial(self, spelling: str, runs: _Runs, loss: float) -> SettingsTrial:
        """The trial of a measured recipe; BudgetSpentError once Thresholdout's budget is spent."""
        changes = self.changes(runs, self.tuning)
        change, charged = sum(changes) / len(changes), False
        if self.reusable:
            names = [*self.tuning, *self.holdout]
            every = dict(zip(names, self.changes(runs, names), strict=True))
            answer = self.looks.answer(runs.label, every)
            change, charged = answer.value, answer.charged
        flops, right = runs.over(self.tuning)
        return SettingsTrial(
            recipe=spelling,
            change=change,
            flops=flops / len(self.tuning),
            cost_of_pass=runs.spent(self.tuning) / right if right else None,
            admissible=change >= -loss,
            charged=charged,
            seconds=runs.seconds,
        )

    def changes(self, runs: _Runs, items: Sequence[str]) -> list[float]:
        """The difference to the exact run on each question."""
        return [runs.scores[name] - self.exact.scores[name] for name in items]


def _searched(
    space: SettingsSpace,
    measured: _Measured,
    guard: _Guard,
    asked: TuningSettings,
    progress: Progress | None,
) -> list[tuple[SettingsTrial, _Runs | None]]:
    search = SettingsSearch(space, -asked.loss, asked.surrogate, asked.seed)
    found: list[tuple[SettingsTrial, _Runs | None]] = []
    while len(search.tried) < asked.trials and (place := search.following()) is not None:
        (spelling, engine), runs = _parts(space.spelled(place)), None
        try:
            runs = measured.runs(spelling, engine)
            trial = guard.trial(spelling, runs, asked.loss)
        except (UnfitError, BadParameterError) as error:
            trial = SettingsTrial(spelling, None, None, None, False, refused=error.message)
        except BudgetSpentError:
            break
        trial = replace(trial, engine=engine)
        search.tell(place, None if runs is None else _outcome(trial, runs, guard.tuning))
        found.append((trial, runs))
        if progress is not None:
            progress(trial)
    return found


def _outcome(trial: SettingsTrial, runs: _Runs, items: Sequence[str]) -> Measurement:
    """The logarithm of cost-of-pass, by a success rate that is never 0."""
    rate = (runs.over(items)[1] + 0.5) / (len(items) + 1)
    return Measurement(log(max(runs.spent(items), 1e-9) / len(items) / rate), trial.change or 0.0)


def _parts(spelled: str) -> tuple[str, str]:
    """The recipe and the engine settings of a candidate."""
    recipe, _, engine = spelled.partition(_AND)
    return recipe, engine


def _result(
    space: str,
    found: SettingsSpace,
    trials: Sequence[tuple[SettingsTrial, _Runs | None]],
    guard: _Guard,
    asked: TuningSettings,
) -> TunedSettings:
    allowed = [(one, runs) for one, runs in trials if one.admissible and runs is not None]
    best, runs = min(
        allowed,
        key=lambda pair: _outcome(pair[0], pair[1], guard.tuning).cost,
        default=(None, None),
    )
    flops, right = guard.exact.over(guard.tuning)
    return TunedSettings(
        space=space,
        candidates=found.candidates,
        best=best.recipe if best else "",
        trials=tuple(one for one, _ in trials),
        exact_flops=flops / len(guard.tuning),
        exact_cost_of_pass=guard.exact.spent(guard.tuning) / right if right else None,
        loss=asked.loss,
        guard="thresholdout" if guard.reusable else "one final test",
        held_out=_held_out(runs, guard, asked.seed) if runs and not guard.reusable else None,
        budget_left=guard.looks.left if guard.reusable else None,
        questions=(len(guard.tuning), len(guard.holdout)),
        surrogate=asked.surrogate,
        seed=asked.seed,
        objective=asked.cost,
        best_engine=best.engine if best else "",
        exact_seconds=guard.exact.seconds,
        usd_per_hour=asked.usd_per_hour,
        provenance={"forethought": metadata.version("forethought")},
    )


def _held_out(runs: _Runs, guard: _Guard, seed: int) -> Interval:
    items = [guard.exact.items[name] for name in guard.holdout]
    names = [f"{one.task}\n{one.cluster}" for one in items]
    changes = Clustered.of(guard.changes(runs, guard.holdout), names)
    return paired_interval([changes], np.random.default_rng(seed))


def _check_enough(questions: int) -> None:
    if questions < LEAST:
        raise UsageError(
            f"{questions} questions are too few to tune on, and {LEAST} are the least",
            "name a task with more questions, such as 'addition(digits=2, count=40)'",
        )
