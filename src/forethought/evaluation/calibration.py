"""Calibrations fitted to stored answers: the Python call behind `tune --calibrate`."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forethought import catalogue
from forethought.contracts.calibrated import Calibrated, CrossValidated, MeasuredConfidence
from forethought.contracts.calibration import (
    CALIBRATION_KINDS,
    Calibration,
    CalibrationKind,
    WantedCalibration,
)
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.numerics.calibration import (
    Measure,
    Numbers,
    bootstrapped,
    brier,
    calibration_error,
    fitted,
    held_out,
    resamples,
    risk_coverage,
)
from forethought.numerics.ranking import auroc
from forethought.recipes.recipe import Recipe
from forethought.sessions.answer_confidence import answered_as
from forethought.storage.location import no_answers, results_file
from forethought.storage.store import Store

FOLDS = 5
FEWEST = 20
"""Least independent questions of a fit; with fewer, its held-out error says nothing."""
ROUNDS = 1000
"""Bootstrap samples of each interval."""
SHARES = (0.5, 0.8)
"""Shares of answers whose accuracy is reported, the surest first."""
_JUDGES = ("confidence", "abstain_below")
"""Settings that change no answer; they may name methods that are not installed."""
_RIGHT = 0.5
"""Scores from here on count as right."""


@dataclass(frozen=True)
class _Judged:
    """One stored answer, and what a method says of it."""

    task: str
    cluster: str
    right: float
    value: float | None
    cost: dict[str, Any]


def calibrate(
    wanted: WantedCalibration,
    *,
    tasks: Sequence[str] = (),
    model: str = "",
    results: Path | str | None = None,
    seed: int = 0,
) -> Calibrated:
    """Measure every confidence method on the stored answers, and fit a calibration to each.

    Answers of all `tasks` count together; an empty list takes all that are stored. No model runs.
    """
    file = Path(results or results_file()).expanduser()
    named = [
        catalogue.spelled_open(task) for text in tasks for task in catalogue.expand(text).values()
    ]
    judged = _judged(file, named, model)
    if not judged:
        raise UsageError(
            f"{no_answers(file)} whose confidence was measured",
            "make some: forethought evaluate 'majority-vote(n=4)' -t 'addition(digits=2)' "
            "--confidence p-true",
        )
    found = [
        _measured(answers, method, some, wanted, seed) for (answers, method), some in judged.items()
    ]
    few = [one for one in found if one.chosen is None]
    notes = [
        f"{one.method} on {one.answers}: {one.questions} answers; {FEWEST} questions are the least "
        "for a calibration"
        for one in few
    ]
    made = {"forethought": metadata.version("forethought"), "results": file.name}
    return Calibrated(tuple(sorted(found, key=_rank)), tuple(notes), made)


def _rank(one: MeasuredConfidence) -> tuple[str, float]:
    return one.answers, 0.0 if math.isnan(one.auroc.value) else -one.auroc.value


def _judged(file: Path, tasks: Sequence[str], model: str) -> dict[tuple[str, str], list[_Judged]]:
    """What each method says of each stored answer, by label of the answers and method.

    An answer that several runs judged by one method counts once.
    """
    found: dict[tuple[str, str], dict[tuple[str, str, int], _Judged]] = defaultdict(dict)
    if not file.exists():
        return {}
    with Store.open(file) as store:
        samples = store.samples(tasks=list(tasks)) if tasks else store.samples()
    for sample in samples:
        estimates = (sample.run["confidence"] or {}).get("estimates", ())
        if not estimates:
            continue
        recipe, label = _named(sample.run["recipe"], json.dumps(sample.run["settings"]))
        if model and recipe.model != model:
            continue
        place = sample.task, sample.question, sample.number
        for one in estimates:
            found[label, one["method"]].setdefault(place, _answer(sample, one))
    return {name: list(answers.values()) for name, answers in found.items()}


@lru_cache(256)
def _named(spelled: str, settings: str) -> tuple[Recipe, str]:
    """The recipe of a sample, and the label of its answers."""
    told: dict[str, Any] = json.loads(settings)
    held: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told.items()
        if name not in _JUDGES
    }
    recipe = replace(Recipe.parse(spelled), **held)
    return recipe, answered_as(recipe)


def _answer(sample: Sample, told: dict[str, Any]) -> _Judged:
    cluster = f"{sample.task} {sample.cluster}"
    right = float(sample.score >= _RIGHT)
    return _Judged(sample.task, cluster, right, told["raw"], told["cost"])


def _measured(
    answers: str,
    method: str,
    some: Sequence[_Judged],
    wanted: WantedCalibration,
    seed: int,
) -> MeasuredConfidence:
    said = [one for one in some if one.value is not None]
    numbers = _Numbers.of(said, seed)
    held = numbers.held_out() if numbers.enough else {}
    curve = risk_coverage(numbers.values, numbers.right) if said else None
    found = MeasuredConfidence(
        answers=answers,
        method=method,
        tasks=tuple(dict.fromkeys(one.task for one in some)),
        questions=len(said),
        silent=len(some) - len(said),
        accuracy=float(numbers.right.mean()) if said else 0.0,
        auroc=numbers.interval(auroc),
        error=numbers.interval(calibration_error),
        brier=numbers.interval(brier),
        area=numbers.interval(_area),
        accuracy_at={f"{share:g}": 1 - curve.at(share) for share in SHARES} if curve else {},
        held_out=held,
        tokens=_mean([_tokens(one.cost) for one in some]),
        flops=_mean([one.cost.get("flops", 0.0) for one in some]),
    )
    return replace(found, chosen=numbers.chosen(found, wanted)) if held else found


@dataclass(frozen=True)
class _Numbers:
    """The answers that a method speaks of, as arrays."""

    values: Numbers
    right: Numbers
    clusters: tuple[str, ...]
    draws: Sequence[NDArray[np.int64]]
    """The bootstrap samples that all measures share."""

    @classmethod
    def of(cls, said: Sequence[_Judged], seed: int) -> _Numbers:
        values = np.array([one.value for one in said], dtype=float)
        right = np.array([one.right for one in said], dtype=float)
        clusters = tuple(one.cluster for one in said)
        rng = np.random.default_rng(seed)
        return cls(values, right, clusters, resamples(clusters, rng, ROUNDS) if said else ())

    @property
    def enough(self) -> bool:
        return len(set(self.clusters)) >= FEWEST

    @property
    def folds(self) -> list[int]:
        """The fold of each answer; a cluster lies in one fold."""
        names = sorted(set(self.clusters))
        order = np.random.default_rng(0).permutation(len(names))
        fold = {name: int(place) % FOLDS for name, place in zip(names, order, strict=True)}
        return [fold[one] for one in self.clusters]

    def interval(self, measure: Measure, values: Numbers | None = None) -> Interval:
        if not len(self.values):
            return Interval(float("nan"), float("nan"), float("nan"))
        numbers = self.values if values is None else values
        return bootstrapped(measure, numbers, self.right, self.draws)

    def held_out(self) -> dict[CalibrationKind, CrossValidated]:
        """Each kind of calibration, by cross-validation over clusters."""
        found: dict[CalibrationKind, CrossValidated] = {}
        for kind in CALIBRATION_KINDS:
            values = held_out(kind, self.values, self.right, self.folds)
            error = self.interval(calibration_error, values)
            found[kind] = CrossValidated(error, self.interval(brier, values))
        return found

    def chosen(self, found: MeasuredConfidence, wanted: WantedCalibration) -> Calibration:
        """The calibration of the wanted kind, or of the least held-out Brier score."""
        held = found.held_out
        best = min(held, key=lambda kind: held[kind].brier.value)
        kind: CalibrationKind = best if wanted == "best" else wanted
        error = held[kind].error
        return Calibration(
            answers=found.answers,
            method=found.method,
            map=fitted(kind, self.values, self.right),
            tasks=found.tasks,
            questions=found.questions,
            error=error.value,
            error_low=error.low,
            error_high=error.high,
            auroc=None if math.isnan(found.auroc.value) else found.auroc.value,
            told={"accuracy": found.accuracy, "brier": held[kind].brier.value},
        )


def _area(values: Numbers, right: Numbers) -> float:
    return risk_coverage(values, right).area


def _tokens(cost: dict[str, Any]) -> float:
    kinds = ("prompt_tokens", "output_tokens", "scoring_tokens", "draft_tokens")
    return float(sum(cost.get(kind, 0) for kind in kinds))


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers)) if numbers else 0.0
