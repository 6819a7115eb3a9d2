"""Predicts the seconds of a request under a recipe from the runs that this machine measured.

The prior is the roofline: the logarithm of a measured time is that of the predicted one plus a
correction. The correction is linear in features of the run, and Bayesian regression learns it from
the timings of this machine. Prefill and decode are learned apart. Without timings, the prediction
is the roofline's, and its interval is wide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, log2
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forethought.contracts.comparison import Interval
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.names import plain_name
from forethought.cost.precision import precision
from forethought.cost.roofline import Machine
from forethought.models.decoder.config import DecoderConfig
from forethought.numerics.bayesian_regression import Regression, RegressionPrediction, regress
from forethought.recipes.recipe import Recipe
from forethought.sessions.cost_estimate import estimate
from forethought.sessions.cost_stages import CostRequest
from forethought.sessions.this_machine import ThisMachine
from forethought.storage.timings import RunTiming

Sizes = Callable[[str], DecoderConfig | None]
"""From a model's name to its sizes; None if they are unknown."""
Phase = Literal["prefill", "decode"]
MOST = 200
"""Timings that are fitted; predicting each takes milliseconds."""
EACH = 24
"""Timings of one recipe that are fitted."""
_NOISE = 0.15  # of the logarithm of a time
_EFFECT = 0.3  # standard deviation of the effect of a feature on that logarithm
_ALONE = 1.0  # the same of a process that has just started: it still pages weights in
_KNOWN, _ASSUMED = 0.3, 2.0  # the same of the machine: of measured rates, of assumed ones
_MIDDLE = 2048  # tokens of the prompt at which its feature is 0


@dataclass(frozen=True)
class RunShape:
    """A request under a recipe: all that its time depends on."""

    model: str
    draft: str
    methods: tuple[str, ...]
    weights: str
    rows: int
    prompt: int
    output: int
    alone: bool = True

    @classmethod
    def of(cls, timing: RunTiming) -> RunShape:
        """The shape of a finished run."""
        names = cls.__dataclass_fields__
        return cls(**{name: getattr(timing, name) for name in names})

    @property
    def names(self) -> tuple[str, ...]:
        """The features that a run has or lacks: its model, its methods and its weight format."""
        methods = (plain_name(one.partition("(")[0]) for one in self.methods)
        return (f"model {self.model}", f"weights {self.weights}", *methods)

    def like(self, other: RunShape) -> bool:
        """Whether both runs have the same recipe."""
        own, others = self.methods, other.methods
        return (self.model, own, self.weights) == (other.model, others, other.weights)


class Roofline:
    """RegressionPrediction seconds of prefill and decode at the rates of a machine."""

    def __init__(self, machine: ThisMachine, sizes: Sizes) -> None:
        self._machine, self._sizes = machine, sizes
        self._known: dict[RunShape, tuple[float, float] | None] = {}

    def seconds(self, run: RunShape) -> tuple[float, float] | None:
        """Seconds before the first token, and of decode; None if sizes are unknown."""
        if run not in self._known:
            self._known[run] = self._predicted(run)
        return self._known[run]

    def _predicted(self, run: RunShape) -> tuple[float, float] | None:
        target = self._sizes(run.model)
        draft = None if run.draft == Recipe.draft else self._sizes(run.draft)
        if target is None or (draft is None and run.draft != Recipe.draft):
            return None
        stored = precision(run.weights, here=True)
        machine = Machine(self._machine.hardware, stored, run.weights)
        request = CostRequest(run.prompt, run.output, samples=run.rows)
        try:
            recipe = Recipe(model=run.model, draft=run.draft, approximate=run.methods)
            found = estimate(recipe, target, draft, request, machine)
        except ForethoughtError:  # the recipe does not fit this prompt, or is of another version
            return None
        return found.first_token, found.seconds - found.first_token


@dataclass(frozen=True)
class TimeModel:
    """Corrections of the roofline, learned from timings."""

    roofline: Roofline
    columns: tuple[str, ...]
    fits: Mapping[Phase, Regression]
    measured: tuple[RunShape, ...]
    """The runs behind the fits."""

    @classmethod
    def of(
        cls,
        machine: ThisMachine,
        sizes: Sizes,
        timings: Sequence[RunTiming],
        asked: Sequence[RunShape],
    ) -> TimeModel:
        """Fit the newest timings, for predictions of the runs that are asked about."""
        roofline = Roofline(machine, sizes)
        shapes = [(RunShape.of(one), one) for one in timings]
        chosen = _newest(shapes, {run.model for run in asked})
        found = [(run, one) for run, one in chosen if roofline.seconds(run) is not None]
        runs = [run for run, _ in found]
        columns = tuple(sorted({name for run in [*runs, *asked] for name in run.names}))
        model = cls(roofline, columns, {}, tuple(runs))
        scales = model._scales(_KNOWN if machine.known else _ASSUMED)
        seconds: dict[Phase, list[float]] = {
            "prefill": [one.first_token for _, one in found],
            "decode": [one.decode for _, one in found],
        }
        fits = {phase: model._fit(phase, runs, held, scales) for phase, held in seconds.items()}
        return cls(roofline, columns, fits, tuple(runs))

    def predict(self, run: RunShape) -> Interval | None:
        """Seconds of a whole request; None if the sizes of its models are unknown."""
        expected = self.roofline.seconds(run)
        if expected is None:
            return None
        features = self._features(run)
        parts = [
            _scaled(own, self.fits[phase].predict(features))
            for phase, own in zip(self.fits, expected, strict=True)
        ]
        value = sum(one.value for one in parts)
        # Errors of both phases are independent.
        below, above = (
            float(np.hypot(*(getattr(one, end) - one.value for one in parts)))
            for end in ("low", "high")
        )
        return Interval(value, max(value - below, 0.0), value + above)

    def runs_like(self, run: RunShape) -> int:
        """The number of measured runs with the same recipe."""
        return sum(run.like(one) for one in self.measured)

    def _scales(self, machine: float) -> NDArray[np.float64]:
        return np.array([machine, _EFFECT, _EFFECT, _ALONE, *[_EFFECT] * len(self.columns)])

    def _features(self, run: RunShape) -> NDArray[np.float64]:
        sizes = log2(run.prompt / _MIDDLE) / 2, log2(run.rows) / 2, float(run.alone)
        return np.array([1.0, *sizes, *(float(run.names.count(one)) for one in self.columns)])

    def _fit(
        self,
        phase: Phase,
        runs: Sequence[RunShape],
        seconds: Sequence[float],
        scales: NDArray[np.float64],
    ) -> Regression:
        place = ("prefill", "decode").index(phase)
        rows, targets = [], []
        for run, took in zip(runs, seconds, strict=True):
            expected = self.roofline.seconds(run)
            if expected is not None and expected[place] > 0 and took > 0:
                rows.append(self._features(run))
                targets.append(log(took / expected[place]))
        features = np.array(rows).reshape(len(rows), len(scales))
        return regress(features, np.array(targets), scales, _NOISE)


def _newest(
    shapes: Sequence[tuple[RunShape, RunTiming]], models: Collection[str]
) -> list[tuple[RunShape, RunTiming]]:
    """The newest timings of each recipe, of the models that are asked about first."""
    taken: Counter[tuple[object, ...]] = Counter()
    found = []
    for run, timing in shapes:
        recipe = run.model, run.methods, run.weights, run.rows, run.alone
        taken[recipe] += 1
        if taken[recipe] <= EACH:
            found.append((run, timing))
    return sorted(found, key=lambda one: one[0].model not in models)[:MOST]


def _scaled(seconds: float, factor: RegressionPrediction) -> Interval:
    """Seconds times the exponential of a correction."""
    return Interval(*(seconds * exp(one) for one in (factor.value, factor.low, factor.high)))
